-- Question: which pooled vector and energy map does each image have?
-- Grain: image, layer, cell (current)
-- Reads: lake.vectors, cells
-- Params: none
with

rows_of_current_cells as (
    select * from rows_of_current(lake.vectors, cells)
)

select * from rows_of_current_cells
