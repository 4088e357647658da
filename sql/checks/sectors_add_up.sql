-- Question: do the sectors of every class hold the images of its direction?
-- Grain: class, split, plane, layer, cell where they do not; healthy: no row
-- Reads: theta_sectors, class_directions, layers
-- Params: none
with

held as (
    select
        cell_key,
        layer,
        plane,
        split,
        label,
        sum(n) as held_n,
    from theta_sectors
    group by
        cell_key,
        layer,
        plane,
        split,
        label
),

bottlenecks as (
    select cell_key, layer
    from layers
    where is_bottleneck
),

directions as (
    select
        class_directions.cell_key,
        class_directions.layer,
        class_directions.plane,
        class_directions.split,
        class_directions.label,
        class_directions.n,
    from class_directions
    semi join bottlenecks
        on class_directions.cell_key = bottlenecks.cell_key
        and class_directions.layer = bottlenecks.layer
),

compared as (
    select
        cell_key,
        layer,
        plane,
        split,
        label,
        held.held_n,
        directions.n,
    from held
    full join directions
        using (cell_key, layer, plane, split, label)
),

unequal as (
    select *
    from compared
    where held_n is distinct from n
)

select * from unequal
order by cell_key, layer, plane, split, label
