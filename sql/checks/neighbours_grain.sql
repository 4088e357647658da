-- Question: is any rank of a query image in neighbours twice?
-- Grain: key that occurs more than once; healthy: no row
-- Reads: neighbours
-- Params: none
with

keys as (
    select
        cell_key,
        layer,
        scheme,
        image_id,
        rank,
    from neighbours
),

repeated as (
    select
        cell_key,
        layer,
        scheme,
        image_id,
        rank,
        count(*) as n,
    from keys
    group by
        cell_key,
        layer,
        scheme,
        image_id,
        rank
    having count(*) > 1
)

select * from repeated
order by cell_key, layer, scheme
