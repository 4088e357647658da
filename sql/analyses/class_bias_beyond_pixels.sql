-- Question: does a class bias remain among images whose pictures lean the same
--   way?
-- Grain: plane, cell (original, random-init) at its bottleneck. Images are
--   sorted into eight sectors of the pixels' own angle; within each the
--   k-sample uniform scores test of class_bias is made, and the W and their
--   degrees of freedom are added up: classes that differ only by the
--   composition of their pictures give no bias. Both effect sizes are less
--   their mean under the null, (W - dof) / (2 n), so that they compare. With
--   classes below 20 images in a sector the chi-square tail errs on the side
--   of no bias
-- Reads: layers, plane_angles, class_bias
-- Params: $split ('memory' or 'query')
with

bottlenecks as (
    select cell_key, dataset, model, variant, layer
    from layers
    where is_bottleneck
),

pairs as (
    select
        bottlenecks.*,
        pixels.cell_key as pixels_key,
        pixels.layer as pixels_layer,
    from bottlenecks
    inner join bottlenecks as pixels
        on bottlenecks.dataset = pixels.dataset
        and pixels.model = 'pixels'
        and pixels.variant = 'original'
        and bottlenecks.model <> 'pixels'
        and bottlenecks.variant in ('original', 'random-init')
),

circle as (
    select cell_key, layer, plane, split, image_id, label, theta_rad
    from plane_angles
    where split = $split
        and theta_rad is not null
),

images as (
    select
        pairs.cell_key,
        pairs.layer,
        circle.plane,
        circle.label,
        circle.theta_rad,
        sector_of(pictures.theta_rad, 8) as sector,
    from pairs
    inner join circle
        on pairs.cell_key = circle.cell_key
        and pairs.layer = circle.layer
    inner join circle as pictures
        on pairs.pixels_key = pictures.cell_key
        and pairs.pixels_layer = pictures.layer
        and pictures.plane = 'image'
        and circle.image_id = pictures.image_id
),

ranked as (
    select
        *,
        average_rank(theta_rad, (cell_key, plane, sector)) as mean_rank,
        count(*) over (partition by (cell_key, plane, sector))
            as sector_images,
    from images
),

class_sums as (
    select
        cell_key,
        layer,
        plane,
        sector,
        label,
        count(*) as class_n,
        min(theta_rad) as least_rad,
        max(theta_rad) as greatest_rad,
        sum(cos(2 * pi() * mean_rank / sector_images)) as cosine_sum,
        sum(sin(2 * pi() * mean_rank / sector_images)) as sine_sum,
    from ranked
    group by
        cell_key,
        layer,
        plane,
        sector,
        label
),

sector_tests as (
    select
        cell_key,
        layer,
        plane,
        sector,
        sum(class_n) as n,
        2 * (count(*) - 1) as dof,
        2 * sum((cosine_sum ** 2 + sine_sum ** 2) / class_n) as w,
    from class_sums
    group by
        cell_key,
        layer,
        plane,
        sector
    having count(*) >= 2
        and min(least_rad) < max(greatest_rad)
),

within_sectors as (
    select
        cell_key,
        layer,
        plane,
        count(*) as sectors,
        sum(n)::bigint as n,
        sum(w) as mww_w,
        sum(dof)::bigint as mww_dof,
        chi2_sf_even(sum(w), sum(dof)::bigint) as mww_p,
        (sum(w) - sum(dof)) / (2 * sum(n)) as effect_size,
    from sector_tests
    group by
        cell_key,
        layer,
        plane
),

overall as (
    select
        cell_key,
        layer,
        plane,
        (mww_w - mww_dof) / (2 * n) as overall_effect_size,
    from class_bias
    where split = $split
),

compared as (
    select
        pairs.cell_key,
        pairs.dataset,
        pairs.model,
        pairs.variant,
        within_sectors.* exclude (cell_key),
        overall.overall_effect_size,
    from within_sectors
    inner join pairs
        using (cell_key, layer)
    inner join overall
        using (cell_key, layer, plane)
)

select * from compared
order by
    dataset,
    model,
    variant,
    plane
