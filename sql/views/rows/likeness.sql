-- Question: which memory picture is each query picture most like?
-- Grain: query image, cell (current, variant 'original'); none where pictures
--   stay in their files, are too many to compare, or for cells of before
--   schema 8
-- Reads: lake.likeness, cells
-- Params: none
with

rows_of_current_cells as (
    select * from rows_of_current(lake.likeness, cells)
)

select * from rows_of_current_cells
