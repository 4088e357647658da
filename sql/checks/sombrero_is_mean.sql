-- Question: is the Sombrero of every mean map the mean of its images' own?
-- Grain: split, layer, cell with a coefficient off by more than 1e-6 of the
--   largest; healthy: no row
-- Reads: energy_maps, records
-- Params: none
with

maps as (
    select
        cell_key,
        layer,
        split,
        sombrero_a as a,
        sombrero_b as b,
        sombrero_c as c,
    from energy_maps
    where label is null
),

images as (
    select
        cell_key,
        layer,
        split,
        avg(sombrero_a) as mean_a,
        avg(sombrero_b) as mean_b,
        avg(sombrero_c) as mean_c,
    from records
    group by
        cell_key,
        layer,
        split
),

compared as (
    select
        *,
        greatest(abs(a - mean_a), abs(b - mean_b), abs(c - mean_c))
            <= 1e-6 * greatest(abs(a), abs(b), abs(c)) as is_mean,
    from maps
    left join images
        using (cell_key, layer, split)
),

unequal as (
    select *
    from compared
    where coalesce(
        not is_mean,
        (a, b, c) is distinct from (mean_a, mean_b, mean_c)
    )
)

select * from unequal
order by cell_key, layer, split
