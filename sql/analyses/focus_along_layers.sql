-- Question: does information focus as the 2-D resolution collapses?
-- Grain: cell (current), from its first recorded layer to its bottleneck. A
--   ratio below 1 is a fall along the way: of EE50, light focuses about the
--   image centre; of the polar angle's share of its bound, activations close in
--   on the medial vector. verdict names the planes that focus; null where the
--   cell has a single layer or a figure is missing
-- Reads: concentration_by_layer
-- Params: $split ('memory' or 'query')
with

path as (
    select
        dataset,
        model,
        variant,
        cell_key,
        is_evidence,
        is_bottleneck,
        layer,
        layer_index,
        ee50_radius,
        polar_angle_share,
        max(layer_index) filter (where is_bottleneck) over (
            partition by cell_key
        ) as bottleneck_index,
    from concentration_by_layer
    where split = $split
),

ends as (
    select
        dataset,
        model,
        variant,
        cell_key,
        is_evidence,
        count(*) as layers,
        arg_min(layer, layer_index) as first_layer,
        arg_max(layer, layer_index) as bottleneck,
        arg_min_null(ee50_radius, layer_index) as first_ee50_radius,
        arg_max_null(ee50_radius, layer_index) as ee50_radius,
        arg_min_null(polar_angle_share, layer_index)
            as first_polar_angle_share,
        arg_max_null(polar_angle_share, layer_index) as polar_angle_share,
    from path
    where layer_index <= bottleneck_index
    group by
        dataset,
        model,
        variant,
        cell_key,
        is_evidence
),

compared as (
    select
        *,
        ee50_radius / nullif(first_ee50_radius, 0) as ee50_ratio,
        polar_angle_share / nullif(first_polar_angle_share, 0)
            as polar_angle_ratio,
    from ends
),

judged as (
    select
        *,
        case
            when layers < 2 or ee50_ratio is null or polar_angle_ratio is null
                then null
            when ee50_ratio < 1 and polar_angle_ratio < 1
                then 'both'
            when ee50_ratio < 1
                then 'image'
            when polar_angle_ratio < 1
                then 'feature'
            else 'neither'
        end as verdict,
    from compared
)

select * from judged
order by dataset, model, variant
