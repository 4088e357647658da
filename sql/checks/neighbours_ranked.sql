-- Question: has every query image its neighbours 1 to k, nearest first?
-- Grain: query image, scheme, layer, cell whose ranks are not 1..k, k being the
--   smaller of 20 and the memory's size, or whose similarity rises with rank;
--   healthy: no row
-- Reads: records, neighbours
-- Params: none
with

images as (
    select cell_key, layer, image_id, split from records
),

nearest as (
    select
        cell_key,
        layer,
        scheme,
        image_id,
        rank,
        similarity,
    from neighbours
),

searches as (
    select distinct cell_key, layer, scheme from nearest
),

memories as (
    select
        cell_key,
        layer,
        least(20, count_if(split = 'memory')) as k,
    from images
    group by
        cell_key,
        layer
),

expected as (
    select
        images.cell_key,
        images.layer,
        searches.scheme,
        images.image_id,
        memories.k,
    from images
    inner join searches
        using (cell_key, layer)
    inner join memories
        using (cell_key, layer)
    where images.split = 'query'
),

steps as (
    select
        *,
        similarity - lag(similarity) over (
            partition by cell_key, layer, scheme, image_id
            order by rank
        ) as rise,
    from nearest
),

found as (
    select
        cell_key,
        layer,
        scheme,
        image_id,
        count(*) as neighbours,
        min(rank) as first_rank,
        max(rank) as last_rank,
        coalesce(max(rise), 0) as largest_rise,
    from steps
    group by
        cell_key,
        layer,
        scheme,
        image_id
),

compared as (
    select *
    from expected
    full join found
        using (cell_key, layer, scheme, image_id)
),

faulty as (
    select *
    from compared
    where k is null
        or neighbours is distinct from k
        or first_rank is distinct from 1
        or last_rank is distinct from k
        or largest_rise > 1e-9
)

select * from faulty
order by cell_key, layer, scheme, image_id
