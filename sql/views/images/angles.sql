-- Question: at which angle does each image sit, in both planes?
-- Grain: image, layer, cell (current). is_weak_image, is_weak_feature: the
--   strength lies below its frame's floor, so the angle means little; null
--   where there is no strength or no floor. A weak angle is flagged, not
--   dropped
-- Reads: lake.angles, cells, frames
-- Params: none
-- Columns: is_weak_image: strength_image lies below the frame's floor, null
--   where either is missing; is_weak_feature: strength_feature lies below the
--   frame's floor, null where either is missing
with

floors as (
    select cell_key, layer, floor_image, floor_feature from frames
),

rows_of_current_cells as (
    select * from rows_of_current(lake.angles, cells)
),

flagged as (
    select
        rows_of_current_cells.*,
        rows_of_current_cells.strength_image < floors.floor_image
            as is_weak_image,
        rows_of_current_cells.strength_feature < floors.floor_feature
            as is_weak_feature,
    from rows_of_current_cells
    left join floors
        on rows_of_current_cells.cell_key = floors.cell_key
        and rows_of_current_cells.layer = floors.layer
)

select * from flagged
