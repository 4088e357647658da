-- Question: how far do classes lean once what the pixel bank knows is taken
--   from the dipoles of the bottleneck?
-- Grain: cell of variant 'original' (current), at its bottleneck, query split;
--   none for cells of before schema 8
-- Reads: lake.beyond_bank, cells
-- Params: none
with

rows_of_current_cells as (
    select * from rows_of_current(lake.beyond_bank, cells)
)

select * from rows_of_current_cells
