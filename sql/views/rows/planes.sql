-- Question: how far do the two planes agree in other frames, and under the
--   null?
-- Grain: frame, layer, cell (current); cells committed before there was such a
--   table have no rows
-- Reads: lake.planes, cells
-- Params: none
with

rows_of_current_cells as (
    select * from rows_of_current(lake.planes, cells)
)

select * from rows_of_current_cells
