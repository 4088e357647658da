-- Question: which plane of activation space carries the image plane's axes?
-- Grain: layer, cell (current)
-- Reads: lake.frames, cells
-- Params: none
with

rows_of_current_cells as (
    select * from rows_of_current(lake.frames, cells)
)

select * from rows_of_current_cells
