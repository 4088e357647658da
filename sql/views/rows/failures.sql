-- Question: which images have no record, and why?
-- Grain: failed image, cell (current)
-- Reads: lake.failures, cells
-- Params: none
with

rows_of_current_cells as (
    select * from rows_of_current(lake.failures, cells)
)

select * from rows_of_current_cells
