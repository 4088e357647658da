-- Question: is any score in memory_report twice?
-- Grain: key that occurs more than once; healthy: no row
-- Reads: memory_report
-- Params: none
with

keys as (
    select
        cell_key,
        layer,
        scheme,
        k,
    from memory_report
),

repeated as (
    select
        cell_key,
        layer,
        scheme,
        k,
        count(*) as n,
    from keys
    group by
        cell_key,
        layer,
        scheme,
        k
    having count(*) > 1
)

select * from repeated
order by cell_key, layer, scheme
