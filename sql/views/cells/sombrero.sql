-- Question: is the mean energy a Sombrero potential about the image centre?
-- Grain: split, layer, cell (current), over all images. shape: 'hat' where the
--   trough lies inside the image (radius <= 1), 'dome' where the energy falls
--   from the centre without reaching a trough there, 'bowl' where it does not
--   fall from the centre (b <= 0), 'flat' where the map varies by less than
--   1e-5 of its mean (rounding of constant pictures has a sign of b, too), null
--   without a fit. The fit is linear in the
--   map, so the coefficients are the means of the images' own and their
--   standard errors are those of means; trough_radius_se by the delta method.
--   shape_is_certain: the 95 % interval of b leaves out 0, and where the energy
--   falls that of 2c - b does too (a trough lies inside the image where 2c >=
--   b, half the slope at its rim)
-- Reads: energy_maps, layers, records
-- Params: none
-- Columns: a: a of E(r) = a - b r^2 + c r^4, least squares over pixels of the
--   mean energy map [activation^2]; b: b of E(r), null below three distinct
--   radii, like a and c [activation^2]; c: c of E(r) [activation^2]; a_se:
--   standard error of a over images [activation^2]; b_se: standard error of b
--   over images [activation^2]; c_se: standard error of c over images
--   [activation^2]; trough_radius_se: standard error of trough_radius over
--   images, by the delta method, null where that is [half image]; shape: 'hat'
--   (trough_radius <= 1), 'dome' (the energy falls from the centre without such
--   a trough), 'bowl' (it does not fall, b <= 0) or 'flat' (the map varies by
--   less than 1e-5 of its mean), null without a fit; shape_is_certain: the 95 %
--   interval of b leaves out 0, and where b > 0 that of 2c - b does too, null
--   of a flat map
with

maps as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        layer_index,
        split,
        n,
        height,
        width,
        sombrero_a as a,
        sombrero_b as b,
        sombrero_c as c,
        trough_radius,
        r_squared,
        ee50_radius,
        ee80_radius,
        centre_density_ratio,
        anisotropy,
        coalesce(
            list_max(mean_energy) - list_min(mean_energy)
            <= 1e-5 * list_avg(mean_energy),
            false
        ) as is_flat,
    from energy_maps
    where label is null
),

cell_layers as (
    select cell_key, layer, is_bottleneck, is_evidence from layers
),

images as (
    select
        cell_key,
        layer,
        split,
        sombrero_a as a,
        sombrero_b as b,
        sombrero_c as c,
    from records
),

spread as (
    select
        cell_key,
        layer,
        split,
        stddev_samp(a) / sqrt(count(a)) as a_se,
        stddev_samp(b) / sqrt(count(b)) as b_se,
        stddev_samp(c) / sqrt(count(c)) as c_se,
        covar_samp(b, c) / count(b) as bc_covariance,
        stddev_samp(2 * c - b) / sqrt(count(b)) as rim_se,
    from images
    group by
        cell_key,
        layer,
        split
),

shaped as (
    select
        maps.* exclude (is_flat),
        cell_layers.is_bottleneck,
        cell_layers.is_evidence,
        spread.a_se,
        spread.b_se,
        spread.c_se,
        maps.trough_radius / 2 * sqrt(
            abs(
                (spread.b_se / maps.b) ** 2
                + (spread.c_se / maps.c) ** 2
                - 2 * spread.bc_covariance / (maps.b * maps.c)
            )
        ) as trough_radius_se,
        case
            when maps.b is null or isnan(maps.b)
                then null
            when maps.is_flat
                then 'flat'
            when maps.b <= 0
                then 'bowl'
            when maps.trough_radius <= 1
                then 'hat'
            else 'dome'
        end as shape,
        case
            when not maps.is_flat
                then abs(maps.b) > 1.959963984540054 * spread.b_se
                    and (
                        maps.b <= 0
                        or abs(2 * maps.c - maps.b)
                            > 1.959963984540054 * spread.rim_se
                    )
        end as shape_is_certain,
    from maps
    left join cell_layers
        using (cell_key, layer)
    left join spread
        using (cell_key, layer, split)
)

select * from shaped
