-- Question: is every neighbour an image of the memory split, under its own
--   label?
-- Grain: neighbour of a query image, relation, scheme, layer, cell; healthy: no
--   row
-- Reads: records, neighbours, location_neighbours
-- Params: none
with

memory_images as (
    select
        cell_key,
        layer,
        image_id as memory_image_id,
        label as memory_label,
    from records
    where split = 'memory'
),

nearest as (
    select
        'neighbours' as relation,
        cell_key,
        layer,
        scheme,
        image_id,
        memory_image_id,
        memory_label,
    from neighbours
    union all by name
    select
        'location_neighbours' as relation,
        cell_key,
        layer,
        scheme,
        image_id,
        memory_image_id,
        memory_label,
    from location_neighbours
),

strangers as (
    select *
    from nearest
    anti join memory_images
        using (cell_key, layer, memory_image_id, memory_label)
)

select * from strangers
order by relation, cell_key, layer, scheme, image_id, memory_image_id
