-- Question: is any failed image in failures twice?
-- Grain: key that occurs more than once; healthy: no row
-- Reads: failures
-- Params: none
with

keys as (
    select
        cell_key,
        image_id,
    from failures
),

repeated as (
    select
        cell_key,
        image_id,
        count(*) as n,
    from keys
    group by
        cell_key,
        image_id
    having count(*) > 1
)

select * from repeated
order by cell_key, image_id
