-- Question: is any image and layer in vectors twice?
-- Grain: key that occurs more than once; healthy: no row
-- Reads: vectors
-- Params: none
with

keys as (
    select
        cell_key,
        layer,
        image_id,
    from vectors
),

repeated as (
    select
        cell_key,
        layer,
        image_id,
        count(*) as n,
    from keys
    group by
        cell_key,
        layer,
        image_id
    having count(*) > 1
)

select * from repeated
order by cell_key, layer, image_id
