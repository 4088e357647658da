-- Question: at each place of the image plane, which memory image is nearest?
-- Grain: place, query image, scheme, layer, cell (current); 'full' and 'pooled'
--   look at the whole plane: their place is null
-- Reads: lake.location_neighbours, cells
-- Params: none
with

rows_of_all_cells as (
    select * from lake.location_neighbours
),

current_cells as (
    select cell_key from cells where is_current
),

rows_of_current_cells as (
    select rows_of_all_cells.*
    from rows_of_all_cells
    semi join current_cells
        on rows_of_all_cells.cell_key = current_cells.cell_key
)

select * from rows_of_current_cells
