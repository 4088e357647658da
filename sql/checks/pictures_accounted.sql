-- Question: is every picture that was found a row, a failure, or counted as
--   left out?
-- Grain: done cell whose parts are not as many as the pictures found, or one
--   of whose parts is impossible; healthy: no row
-- Reads: cells
-- Params: none
with

done_cells as (
    select
        cell_key,
        dataset,
        "rows" as row_count,
        failures as failure_count,
        images_query,
        pictures_found,
        pictures_unlabelled,
        pictures_ignored,
        pictures_not_selected,
        pictures_repeated,
    from cells
    where status = 'done'
),

added as (
    select
        *,
        row_count
            + failure_count
            + pictures_unlabelled
            + pictures_ignored
            + pictures_not_selected
            as pictures_told,
        least(
            row_count,
            failure_count,
            pictures_unlabelled,
            pictures_ignored,
            pictures_not_selected,
            pictures_repeated,
            images_query - pictures_repeated
        ) as least_part,
    from done_cells
),

unaccounted as (
    select *
    from added
    -- Null says that pictures were cached before they were counted.
    where (
            pictures_found is not null
            and pictures_told is distinct from pictures_found
        )
        or least_part < 0
)

select * from unaccounted
order by cell_key
