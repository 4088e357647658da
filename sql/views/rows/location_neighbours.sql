-- Question: at each place of the image plane, which memory image is nearest?
-- Grain: place, query image, scheme, layer, cell (current); 'full' and 'pooled'
--   look at the whole plane: their place is null
-- Reads: lake.location_neighbours, cells
-- Params: none
with

rows_of_current_cells as (
    select * from rows_of_current(lake.location_neighbours, cells)
)

select * from rows_of_current_cells
