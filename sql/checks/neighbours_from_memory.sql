-- Question: is every neighbour an image of the memory split, under its own
--   label?
-- Grain: rank, query image, scheme, layer, cell; healthy: no row
-- Reads: records, neighbours
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
        cell_key,
        layer,
        scheme,
        image_id,
        rank,
        memory_image_id,
        memory_label,
    from neighbours
),

strangers as (
    select *
    from nearest
    anti join memory_images
        using (cell_key, layer, memory_image_id, memory_label)
)

select * from strangers
order by cell_key, layer, scheme, image_id, rank
