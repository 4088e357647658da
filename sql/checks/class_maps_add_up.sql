-- Question: do the classes of a split add up to its map over all images?
-- Grain: split, layer, cell with class maps whose n do not; healthy: no row
-- Reads: energy_maps
-- Params: none
with

maps as (
    select cell_key, layer, split, label, n from energy_maps
),

sums as (
    select
        cell_key,
        layer,
        split,
        sum(n) filter (where label is null) as n_all,
        sum(n) filter (where label is not null) as n_classes,
    from maps
    group by
        cell_key,
        layer,
        split
),

unequal as (
    select *
    from sums
    where n_all is null
        or n_classes <> n_all
)

select * from unequal
order by cell_key, layer, split
