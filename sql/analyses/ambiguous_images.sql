-- Question: which images sit nearest to the centre of a plane, where the angle
--   means least?
-- Grain: image, plane, cell (current); bottleneck layer; the $images weakest of
--   each plane and cell, weakest first
-- Reads: plane_angles, layers
-- Params: $split ('memory' or 'query'), $images (rows per plane and cell)
with

bottlenecks as (
    select cell_key, layer
    from layers
    where is_bottleneck
),

images as (
    select
        plane_angles.dataset,
        plane_angles.model,
        plane_angles.variant,
        plane_angles.cell_key,
        plane_angles.layer,
        plane_angles.plane,
        plane_angles.split,
        plane_angles.image_id,
        plane_angles.label,
        plane_angles.class_name,
        plane_angles.theta_rad,
        plane_angles.strength,
    from plane_angles
    semi join bottlenecks
        on plane_angles.cell_key = bottlenecks.cell_key
        and plane_angles.layer = bottlenecks.layer
    where plane_angles.split = $split
),

weakest_first as (
    select
        *,
        strength / median(strength) over (
            partition by cell_key, plane
        ) as strength_over_median,
        row_number() over (
            partition by cell_key, plane
            order by
                strength,
                image_id
        ) as place,
    from images
),

weakest as (
    select *
    from weakest_first
    where place <= $images
)

select * from weakest
order by dataset, model, variant, plane, place
