-- Question: which memory images are nearest to each query image?
-- Grain: rank, query image, scheme, layer, cell (current)
-- Reads: lake.neighbours, cells
-- Params: none
with

rows_of_current_cells as (
    select * from rows_of_current(lake.neighbours, cells)
)

select * from rows_of_current_cells
