-- Question: is any mean map in energy_maps twice?
-- Grain: key that occurs more than once; healthy: no row
-- Reads: energy_maps
-- Params: none
with

keys as (
    select
        cell_key,
        layer,
        split,
        label,
    from energy_maps
),

repeated as (
    select
        cell_key,
        layer,
        split,
        label,
        count(*) as n,
    from keys
    group by
        cell_key,
        layer,
        split,
        label
    having count(*) > 1
)

select * from repeated
order by cell_key, layer, split
