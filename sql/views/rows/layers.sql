-- Question: which layers has each cell, in which order, and which is the
--   bottleneck?
-- Grain: layer, cell (current)
-- Reads: cells
-- Params: none
-- Columns: layer: dotted path of the layer t inside the model; layer_index:
--   position of the layer in order of execution, from 0; is_bottleneck: the
--   layer is the bottleneck; is_planted: angles or places of the data set were
--   drawn; is_repeated: the cell's network has a cell of the
--   same dataset and variant under an id before this one
with

current_cells as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layers,
        bottleneck,
        is_evidence,
        is_planted,
        is_repeated,
    from cells
    where is_current
),

numbered as (
    select
        cell_key,
        dataset,
        model,
        variant,
        bottleneck,
        is_evidence,
        is_planted,
        is_repeated,
        unnest(layers) as layer,
        generate_subscripts(layers, 1) - 1 as layer_index,
    from current_cells
),

marked as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        layer_index,
        layer is not distinct from bottleneck as is_bottleneck,
        is_evidence,
        is_planted,
        is_repeated,
    from numbered
)

select * from marked
