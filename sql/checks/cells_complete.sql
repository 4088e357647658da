-- Question: does every cell account for every image it selected?
-- Grain: cell whose rows + failures differ from the images selected, or whose
--   stored failures differ from the number it states; healthy: no row
-- Reads: cells, failures
-- Params: none
with

current_cells as (
    select
        cell_key,
        "rows" as row_count,
        failures as failure_count,
        images_memory + images_query as images,
    from cells
    where is_current
),

stored_failures as (
    select
        cell_key,
        count(*) as n,
    from failures
    group by cell_key
),

incomplete as (
    select
        current_cells.*,
        coalesce(stored_failures.n, 0) as stored_failures,
    from current_cells
    left join stored_failures
        using (cell_key)
    where current_cells.row_count + current_cells.failure_count
            is distinct from current_cells.images
        or coalesce(stored_failures.n, 0)
            is distinct from current_cells.failure_count
)

select * from incomplete
order by cell_key
