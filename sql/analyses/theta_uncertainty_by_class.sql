-- Question: how sure is the angle of an image, by class?
-- Grain: class, cell (original, current) at its bottleneck; medians and
--   shares over its images
-- Reads: theta_uncertainty, angles, layers
-- Params: $split ('memory' or 'query')
with

bottlenecks as (
    select cell_key, layer
    from layers
    where is_bottleneck
),

spread as (
    select
        cell_key,
        layer,
        image_id,
        theta_image_sd_rad,
        theta_feature_sd_rad,
    from theta_uncertainty
),

images as (
    select
        angles.dataset,
        angles.model,
        angles.variant,
        angles.cell_key,
        angles.layer,
        angles.split,
        angles.label,
        angles.class_name,
        angles.is_weak_image,
        angles.is_weak_feature,
        spread.theta_image_sd_rad,
        spread.theta_feature_sd_rad,
    from angles
    semi join bottlenecks
        on angles.cell_key = bottlenecks.cell_key
        and angles.layer = bottlenecks.layer
    inner join spread
        on angles.cell_key = spread.cell_key
        and angles.layer = spread.layer
        and angles.image_id = spread.image_id
    where angles.split = $split
),

summary as (
    select
        dataset,
        model,
        variant,
        cell_key,
        layer,
        split,
        label,
        class_name,
        count(*) as n,
        median(theta_image_sd_rad) as theta_image_sd_rad,
        median(theta_feature_sd_rad) as theta_feature_sd_rad,
        avg(is_weak_image::integer) as weak_image_share,
        avg(is_weak_feature::integer) as weak_feature_share,
    from images
    group by
        dataset,
        model,
        variant,
        cell_key,
        layer,
        split,
        label,
        class_name
)

select * from summary
order by dataset, model, label
