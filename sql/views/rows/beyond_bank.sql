-- Question: what of theta_image is left beyond the energies that a picture
--   shows without a network?
-- Grain: layer (bottleneck), cell (current, original, with a network); none for
--   cells of before schema 8
-- Reads: lake.beyond_bank, cells
-- Params: none
with

rows_of_current_cells as (
    select * from rows_of_current(lake.beyond_bank, cells)
)

select * from rows_of_current_cells
