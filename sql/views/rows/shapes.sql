-- Question: is the mean energy a Sombrero to images that it was not fitted to?
-- Grain: half held out, split, cell (current) at its bottleneck; none for cells
--   of before schema 7
-- Reads: lake.shapes, cells
-- Params: none
with

rows_of_current_cells as (
    select * from rows_of_current(lake.shapes, cells)
)

select * from rows_of_current_cells
