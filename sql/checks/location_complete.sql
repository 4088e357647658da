-- Question: has every place of the location memory one neighbour per query
--   image?
-- Grain: scheme, cell whose rows differ from queries x places ('location') or
--   queries ('full', 'pooled'); healthy: no row
-- Reads: cells, frames, location_neighbours
-- Params: none
with

current_cells as (
    select
        cell_key,
        location_query,
        unnest(['location', 'full', 'pooled']) as scheme,
    from cells
    where is_current
        and location_query > 0
),

places as (
    select cell_key, height * width as pixels
    from frames
    where is_bottleneck
),

answers as (
    select cell_key, scheme from location_neighbours
),

found as (
    select
        cell_key,
        scheme,
        count(*) as found_rows,
    from answers
    group by
        cell_key,
        scheme
),

compared as (
    select
        cell_key,
        scheme,
        found.found_rows,
        current_cells.location_query
            * if(scheme = 'location', places.pixels, 1) as expected_rows,
    from current_cells
    left join places
        using (cell_key)
    full join found
        using (cell_key, scheme)
),

incomplete as (
    select *
    from compared
    where found_rows is distinct from expected_rows
)

select * from incomplete
order by cell_key, scheme
