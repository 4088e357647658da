-- Question: how is the mean energy spread over the image?
-- Grain: class (null: all images), split, layer, cell (current)
-- Reads: lake.energy_maps, cells
-- Params: none
with

rows_of_current_cells as (
    select * from rows_of_current(lake.energy_maps, cells)
)

select * from rows_of_current_cells
