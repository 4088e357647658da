-- Question: is any class in class_directions twice?
-- Grain: key that occurs more than once; healthy: no row
-- Reads: class_directions
-- Params: none
with

keys as (
    select
        cell_key,
        layer,
        plane,
        split,
        label,
    from class_directions
),

repeated as (
    select
        cell_key,
        layer,
        plane,
        split,
        label,
        count(*) as n,
    from keys
    group by
        cell_key,
        layer,
        plane,
        split,
        label
    having count(*) > 1
)

select * from repeated
order by cell_key, layer, plane
