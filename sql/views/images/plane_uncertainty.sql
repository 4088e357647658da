-- Question: how sure is the angle of each image, one row per plane?
-- Grain: plane ('image', 'feature'), image, layer, original cell (current)
-- Reads: theta_uncertainty
-- Params: none
-- Columns: plane: 'image' or 'feature'; sd_rad: circular standard deviation of
--   the plane's theta over readings, null below three angles, and where they
--   have no direction [rad]
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
        readings,
        theta_image_sd_rad,
        theta_feature_sd_rad,
    from theta_uncertainty
),

image_plane as (
    select
        * exclude (theta_image_sd_rad, theta_feature_sd_rad),
        'image' as plane,
        theta_image_sd_rad as sd_rad,
    from both_planes
),

feature_plane as (
    select
        * exclude (theta_image_sd_rad, theta_feature_sd_rad),
        'feature' as plane,
        theta_feature_sd_rad as sd_rad,
    from both_planes
),

stacked as (
    select * from image_plane
    union all by name
    select * from feature_plane
)

select * from stacked
