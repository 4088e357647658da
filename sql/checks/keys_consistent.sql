-- Question: does every row name the dataset, model, variant and layer of its
--   cell?
-- Grain: relation, cell, layer that a row names otherwise; healthy: no row
-- Reads: layers, records, vectors, angles, frames, planes, energy_maps,
--   neighbours, location_neighbours
-- Params: none
with

cell_layers as (
    select cell_key, dataset, model, variant, layer from layers
),

named as (
    select distinct
        'records' as relation,
        cell_key,
        dataset,
        model,
        variant,
        layer,
    from records
    union all by name
    select distinct
        'vectors' as relation,
        cell_key,
        dataset,
        model,
        variant,
        layer,
    from vectors
    union all by name
    select distinct
        'angles' as relation,
        cell_key,
        dataset,
        model,
        variant,
        layer,
    from angles
    union all by name
    select distinct
        'frames' as relation,
        cell_key,
        dataset,
        model,
        variant,
        layer,
    from frames
    union all by name
    select distinct
        'planes' as relation,
        cell_key,
        dataset,
        model,
        variant,
        layer,
    from planes
    union all by name
    select distinct
        'energy_maps' as relation,
        cell_key,
        dataset,
        model,
        variant,
        layer,
    from energy_maps
    union all by name
    select distinct
        'neighbours' as relation,
        cell_key,
        dataset,
        model,
        variant,
        layer,
    from neighbours
    union all by name
    select distinct
        'location_neighbours' as relation,
        cell_key,
        dataset,
        model,
        variant,
        layer,
    from location_neighbours
),

misnamed as (
    select *
    from named
    anti join cell_layers
        using (cell_key, dataset, model, variant, layer)
)

select * from misnamed
order by relation, cell_key, layer
