-- Question: what was measured on each image at each layer?
-- Grain: image, layer, cell (current)
-- Reads: lake.records, cells
-- Params: none
with

rows_of_current_cells as (
    select * from rows_of_current(lake.records, cells)
)

select * from rows_of_current_cells
