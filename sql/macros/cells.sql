-- Question: which rows of a table belong to current cells?
-- Grain: macro; one row per row of the relation that it is given
-- Reads: nothing
-- Params: none

-- The rows of a raw table that belong to current cells; cells is the view.
-- Example: (with cell as (select 'a' as cell_key, true as is_current),
--   r as (select unnest(['a', 'b']) as cell_key)
--   select list(cell_key) from rows_of_current(r, cell)) = ['a']
create macro rows_of_current(relation, cells) as table (
    with

    current_cells as (
        select cell_key from query_table(cells) where is_current
    ),

    rows_of_current_cells as (
        select rows_of_all_cells.*
        from query_table(relation) as rows_of_all_cells
        semi join current_cells
            on rows_of_all_cells.cell_key = current_cells.cell_key
    )

    select * from rows_of_current_cells
);
