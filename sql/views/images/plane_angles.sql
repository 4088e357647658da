-- Question: at which angle does each image sit, one row per plane?
-- Grain: plane ('image', 'feature'), image, layer, cell (current); is_weak: the
--   strength lies below the frame's floor
-- Reads: angles
-- Params: none
-- Columns: plane: 'image' or 'feature'; theta_rad: theta of the plane, in (-pi,
--   pi], null where undefined [rad]; strength: strength of the plane: |d - mean
--   d| in half images, or |z|, a pure number; is_weak: strength lies below the
--   frame's floor, null where either is missing
with

both_planes as not materialized (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        image_id,
        split,
        label,
        class_name,
        theta_image_rad,
        theta_feature_rad,
        strength_image,
        strength_feature,
        is_weak_image,
        is_weak_feature,
    from angles
),

image_plane as (
    select
        * exclude (
            theta_image_rad,
            theta_feature_rad,
            strength_image,
            strength_feature,
            is_weak_image,
            is_weak_feature,
        ),
        'image' as plane,
        theta_image_rad as theta_rad,
        strength_image as strength,
        is_weak_image as is_weak,
    from both_planes
),

feature_plane as (
    select
        * exclude (
            theta_image_rad,
            theta_feature_rad,
            strength_image,
            strength_feature,
            is_weak_image,
            is_weak_feature,
        ),
        'feature' as plane,
        theta_feature_rad as theta_rad,
        strength_feature as strength,
        is_weak_feature as is_weak,
    from both_planes
),

stacked as (
    select * from image_plane
    union all by name
    select * from feature_plane
)

select * from stacked
