-- Question: how many bits of the class of a query image does its angle tell?
-- Grain: plane, layer, cell (current); none for cells of before schema 7
-- Reads: lake.theta_bits, cells
-- Params: none
with

rows_of_current_cells as (
    select * from rows_of_current(lake.theta_bits, cells)
)

select * from rows_of_current_cells
