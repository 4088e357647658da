-- Question: does every control compare all images with an angle in both cells?
-- Grain: split, plane, layer, cell whose n differs; healthy: no row
-- Reads: cells, plane_angles, controls
-- Params: none
with

current_cells as (
    select cell_key, dataset, model, variant
    from cells
    where is_current
),

circle as (
    select cell_key, layer, plane, split, image_id
    from plane_angles
    where theta_rad is not null
),

compared as (
    select cell_key, layer, plane, split, n from controls
),

originals as (
    select
        compared.*,
        original.cell_key as original_key,
    from compared
    inner join current_cells as control
        on compared.cell_key = control.cell_key
    inner join current_cells as original
        on control.dataset = original.dataset
        and control.model = original.model
        and original.variant = 'original'
),

images as (
    select
        originals.cell_key,
        originals.layer,
        originals.plane,
        originals.split,
        any_value(originals.n) as n,
        count(original.image_id) as images,
    from originals
    inner join circle as observed
        on originals.cell_key = observed.cell_key
        and originals.layer = observed.layer
        and originals.plane = observed.plane
        and originals.split = observed.split
    left join circle as original
        on originals.original_key = original.cell_key
        and observed.layer = original.layer
        and observed.plane = original.plane
        and observed.image_id = original.image_id
    group by
        originals.cell_key,
        originals.layer,
        originals.plane,
        originals.split
),

unequal as (
    select *
    from images
    where n is distinct from images
)

select * from unequal
order by cell_key, layer, plane, split
