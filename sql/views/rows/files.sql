-- Question: which files belong to each cell, how large are they, and what is
--   their sha256?
-- Grain: file, cell (done ones, superseded too); without those of `cells` and
--   `files` themselves
-- Reads: lake.files, cells
-- Params: none
with

files_of_all_cells as (
    select * from lake.files
),

done_cells as (
    select cell_key from cells where status = 'done'
),

files_of_done_cells as (
    select files_of_all_cells.*
    from files_of_all_cells
    semi join done_cells
        on files_of_all_cells.cell_key = done_cells.cell_key
)

select * from files_of_done_cells
