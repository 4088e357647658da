-- Question: is any image in two splits, or under two labels, within a cell?
-- Grain: image, cell; healthy: no row
-- Reads: records
-- Params: none
with

images as (
    select cell_key, image_id, split, label from records
),

mixed as (
    select
        cell_key,
        image_id,
        count(distinct split) as splits,
        count(distinct label) as labels,
    from images
    group by
        cell_key,
        image_id
    having count(distinct split) > 1
        or count(distinct label) > 1
)

select * from mixed
order by cell_key, image_id
