-- Question: does every class direction and arc end lie in (-pi, pi]?
-- Grain: class, split, plane, layer, cell; healthy: no row
-- Reads: class_directions
-- Params: none
with

directions as (
    select
        cell_key,
        layer,
        plane,
        split,
        label,
        unnest([mean_direction_rad, ci_low_rad, ci_high_rad]) as angle_rad,
    from class_directions
),

outside as (
    select *
    from directions
    where not (angle_rad > -pi() and angle_rad <= pi())
)

select * from outside
order by cell_key, layer, plane, split, label
