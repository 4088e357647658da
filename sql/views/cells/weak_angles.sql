-- Question: how many angles of a cell are weak?
-- Grain: split, plane, cell (current) at its bottleneck
-- Reads: plane_angles, layers
-- Params: none
-- Columns: n: images whose strength and floor are known [images]; weak_share:
--   share of n whose strength lies below the frame's floor, null where n is 0
with

bottlenecks as (
    select cell_key, layer
    from layers
    where is_bottleneck
),

images as (
    select
        plane_angles.cell_key,
        plane_angles.dataset,
        plane_angles.model,
        plane_angles.variant,
        plane_angles.layer,
        plane_angles.plane,
        plane_angles.split,
        plane_angles.is_weak,
    from plane_angles
    semi join bottlenecks
        on plane_angles.cell_key = bottlenecks.cell_key
        and plane_angles.layer = bottlenecks.layer
),

counted as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        plane,
        split,
        count(is_weak) as n,
        avg(is_weak::integer) as weak_share,
    from images
    group by
        cell_key,
        dataset,
        model,
        variant,
        layer,
        plane,
        split
)

select * from counted
