-- Question: what moved when a cell took the place of an earlier one?
-- Grain: class, plane, cell that a sweep found changed; and one row a cell with
--   plane and label null for its accuracy. shift: |R e^(i theta) - R0 e^(i
--   theta0)|, the way of the resultant vector between 0 and 2 (a direction that
--   is not defined has R = 0); of accuracy the absolute difference. changed:
--   what differs between the two cells
-- Reads: lake.sweep_figures, cells
-- Params: none
-- Columns: cell_key_before: the cell whose place was taken; n_before: n of the
--   cell before [images]; mean_direction_rad_before: mean_direction_rad of the
--   cell before, null where undefined [rad]; resultant_length_before:
--   resultant_length of the cell before, null for the memory's accuracy;
--   accuracy_before: accuracy of the cell before, null for classes; shift: way
--   of the resultant vector R e^(i theta), from 0 to 2, or absolute difference
--   of accuracies; changed: what differs between the two cells: 'weights',
--   'images', 'limit', ..., empty where the cell before is no longer in the
--   lake
with

identities as (
    select
        cell_key,
        weights_sha256,
        dataset_fingerprint,
        image_limit,
        location_limit,
        memory,
        preprocessing,
        layers,
        "precision",
        architecture,
        torch_version,
        u1sweep_version,
        schema_version,
    from cells
),

kept as (
    select * from lake.sweep_figures
),

ordered as (
    select
        kept.*,
        coalesce(resultant_length * cos(mean_direction_rad), 0) as resultant_x,
        coalesce(resultant_length * sin(mean_direction_rad), 0) as resultant_y,
        row_number() over earlier as place,
        lag(cell_key) over earlier as cell_key_before,
        lag(n) over earlier as n_before,
        lag(mean_direction_rad) over earlier as mean_direction_rad_before,
        lag(resultant_length) over earlier as resultant_length_before,
        lag(accuracy) over earlier as accuracy_before,
    from kept
    window earlier as (
        partition by dataset, model, variant, plane, label
        order by concluded_at, sweep_key
    )
),

shifted as (
    select
        ordered.* exclude (resultant_x, resultant_y, place),
        case
            when plane is null
                then abs(accuracy - accuracy_before)
            else sqrt(
                (resultant_x - lag(resultant_x) over earlier) ** 2
                + (resultant_y - lag(resultant_y) over earlier) ** 2
            )
        end as shift,
    from ordered
    window earlier as (
        partition by dataset, model, variant, plane, label
        order by place
    )
),

explained as (
    select
        shifted.*,
        list_filter(
            [
                case
                    when now.weights_sha256
                        is distinct from before.weights_sha256
                        then 'weights'
                end,
                case
                    when now.dataset_fingerprint
                        is distinct from before.dataset_fingerprint
                        then 'images'
                end,
                case
                    when now.image_limit
                        is distinct from before.image_limit
                        then 'limit'
                end,
                case
                    when now.location_limit
                        is distinct from before.location_limit
                        then 'location limit'
                end,
                case
                    when coalesce(now.memory, 'official')
                        is distinct from coalesce(before.memory, 'official')
                        then 'memory'
                end,
                case
                    when now.preprocessing
                        is distinct from before.preprocessing
                        then 'preprocessing'
                end,
                case
                    when now.layers
                        is distinct from before.layers
                        then 'layers'
                end,
                case
                    when now."precision"
                        is distinct from before."precision"
                        then 'precision'
                end,
                case
                    when now.architecture
                        is distinct from before.architecture
                        then 'architecture'
                end,
                case
                    when now.torch_version
                        is distinct from before.torch_version
                        then 'torch'
                end,
                case
                    when now.u1sweep_version
                        is distinct from before.u1sweep_version
                        then 'u1sweep'
                end,
                case
                    when now.schema_version
                        is distinct from before.schema_version
                        then 'schema'
                end
            ],
            lambda name: before.cell_key is not null and name is not null
        ) as changed,
    from shifted
    left join identities as now
        on shifted.cell_key = now.cell_key
    left join identities as before
        on shifted.cell_key_before = before.cell_key
    where shifted.cell_key_before is not null
)

select * from explained
