-- Question: at which angle does each image sit, one row per plane?
-- Grain: plane ('image', 'feature'), image, layer, cell (current)
-- Reads: angles
-- Params: none
with

both_planes as (
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
    from angles
),

image_plane as (
    select
        * exclude (
            theta_image_rad, theta_feature_rad, strength_image, strength_feature
        ),
        'image' as plane,
        theta_image_rad as theta_rad,
        strength_image as strength,
    from both_planes
),

feature_plane as (
    select
        * exclude (
            theta_image_rad, theta_feature_rad, strength_image, strength_feature
        ),
        'feature' as plane,
        theta_feature_rad as theta_rad,
        strength_feature as strength,
    from both_planes
),

stacked as (
    select * from image_plane
    union all by name
    select * from feature_plane
)

select * from stacked
