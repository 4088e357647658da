-- Question: which layers has each cell, in which order, and which is the
--   bottleneck?
-- Grain: layer, cell (current)
-- Reads: cells
-- Params: none
with

current_cells as (
    select cell_key, dataset, model, variant, layers, bottleneck
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
    from numbered
)

select * from marked
