-- Question: where does each class lie in a frame that was fitted without it?
-- Grain: half, class, cell (current) at its bottleneck, over the query split;
--   none for cells of before schema 8, nor where classes or images are too few
-- Reads: lake.loco_directions, cells
-- Params: none
with

rows_of_current_cells as (
    select * from rows_of_current(lake.loco_directions, cells)
)

select * from rows_of_current_cells
