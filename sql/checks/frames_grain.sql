-- Question: is any layer in frames twice?
-- Grain: key that occurs more than once; healthy: no row
-- Reads: frames
-- Params: none
with

keys as (
    select
        cell_key,
        layer,
    from frames
),

repeated as (
    select
        cell_key,
        layer,
        count(*) as n,
    from keys
    group by
        cell_key,
        layer
    having count(*) > 1
)

select * from repeated
order by cell_key, layer
