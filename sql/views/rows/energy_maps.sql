-- Question: how is the mean energy spread over the image?
-- Grain: class (null: all images), split, layer, cell (current)
-- Reads: lake.energy_maps, cells
-- Params: none
with

rows_of_all_cells as (
    select * from lake.energy_maps
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
