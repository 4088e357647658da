-- Question: is any test in class_bias twice?
-- Grain: key that occurs more than once; healthy: no row
-- Reads: class_bias
-- Params: none
with

keys as (
    select
        cell_key,
        layer,
        plane,
        split,
    from class_bias
),

repeated as (
    select
        cell_key,
        layer,
        plane,
        split,
        count(*) as n,
    from keys
    group by
        cell_key,
        layer,
        plane,
        split
    having count(*) > 1
)

select * from repeated
order by cell_key, layer, plane
