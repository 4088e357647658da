-- Question: does light come to a focus along the layers?
-- Grain: split, layer, cell (current), in order of execution. Radii and polar
--   angles are medians over images; polar_angle_bound_rad is the widest opening
--   that an activation without negative entries can have, arccos(1 / sqrt N);
--   polar_angle_share is the opening over it, null for N = 1. A layer of one
--   pixel has no direction and no ring: its bias and anisotropy are null, its
--   radii those of uniform light
-- Reads: records, frames, layers, class_bias
-- Params: none
-- Columns: n: images of the split with a record [images]; energy_total: median
--   over images of the sum over (x,y) of E(x,y) [activation^2]; ee50_radius:
--   median over images of the radius that encircles 50 % of the energy [half
--   image]; ee80_radius: median over images of the radius that encircles 80 %
--   of the energy [half image]; centre_density_ratio: median over images of the
--   energy density inside r <= 1/2 over the density of the image; anisotropy:
--   median over images of the share of the spatial variance of E that is
--   angular, within rings; polar_angle_rad: median over images of the opening
--   from the principal ray [rad]; negative_share: mean over images of the share
--   of the activations below zero; polar_angle_bound_rad: widest opening
--   without negative entries, arccos(1 / sqrt N) [rad]; polar_angle_share:
--   polar_angle_rad over polar_angle_bound_rad, null for N = 1;
--   class_bias_image: effect_size of class_bias in the image plane, null where
--   untested; class_bias_image_q: mww_q of class_bias in the image plane;
--   class_bias_feature: effect_size of class_bias in the feature plane, null
--   where untested; class_bias_feature_q: mww_q of class_bias in the feature
--   plane
with

images as (
    select
        cell_key,
        layer,
        split,
        count(*) as n,
        median(energy_total) as energy_total,
        median(ee50_radius) as ee50_radius,
        median(ee80_radius) as ee80_radius,
        median(centre_density_ratio) as centre_density_ratio,
        median(anisotropy) as anisotropy,
        median(polar_angle_rad) as polar_angle_rad,
        avg(negative_share) as negative_share,
    from records
    group by
        cell_key,
        layer,
        split
),

couplings as (
    select
        cell_key,
        layer,
        channels,
        height,
        width,
        acos(1 / sqrt(channels)) as polar_angle_bound_rad,
        coupling_1,
        coupling_2,
    from frames
),

cell_layers as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        layer_index,
        is_bottleneck,
        is_evidence,
    from layers
),

bias as (
    select
        cell_key,
        layer,
        split,
        max(effect_size) filter (where plane = 'image')
            as class_bias_image,
        max(mww_q) filter (where plane = 'image')
            as class_bias_image_q,
        max(effect_size) filter (where plane = 'feature')
            as class_bias_feature,
        max(mww_q) filter (where plane = 'feature')
            as class_bias_feature_q,
    from class_bias
    group by
        cell_key,
        layer,
        split
),

path as (
    select
        cell_layers.*,
        images.* exclude (cell_key, layer),
        couplings.* exclude (cell_key, layer),
        images.polar_angle_rad / nullif(couplings.polar_angle_bound_rad, 0)
            as polar_angle_share,
        bias.* exclude (cell_key, layer, split),
    from cell_layers
    inner join images
        on cell_layers.cell_key = images.cell_key
        and cell_layers.layer = images.layer
    left join couplings
        on cell_layers.cell_key = couplings.cell_key
        and cell_layers.layer = couplings.layer
    left join bias
        on images.cell_key = bias.cell_key
        and images.layer = bias.layer
        and images.split = bias.split
)

select * from path
