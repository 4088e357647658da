-- Question: is the floor of every frame a tenth of the root mean square
--   strength of its memory split?
-- Grain: plane, layer, cell whose floor is not, within 1e-6 of it; healthy: no
--   row
-- Reads: frames, plane_angles
-- Params: none
with

floors as (
    select
        cell_key,
        layer,
        unnest(['image', 'feature']) as plane,
        unnest([floor_image, floor_feature]) as floor,
    from frames
),

strengths as (
    select
        cell_key,
        layer,
        plane,
        0.1 * sqrt(avg(strength ** 2)) as expected_floor,
    from plane_angles
    where split = 'memory'
    group by
        cell_key,
        layer,
        plane
),

compared as (
    select *
    from floors
    left join strengths
        using (cell_key, layer, plane)
),

inconsistent as (
    select *
    from compared
    where coalesce(
        not abs(floor - expected_floor) <= 1e-6 * expected_floor,
        floor is distinct from expected_floor
    )
)

select * from inconsistent
order by cell_key, layer, plane
