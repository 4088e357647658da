-- Question: does the mean energy of images that no curve was fitted to have the
--   Sombrero's shape, and rise beyond its trough?
-- Grain: split, layer (bottleneck), cell (current) with both halves; none for
--   cells of before schema 7
-- Reads: shapes, layers, sombrero
-- Params: none
-- Columns: n: images of both halves [images]; is_flat: a mean map of one half
--   varies by less than 1e-5 of its mean, nothing else is said; r_squared_gain:
--   held-out R^2 of the Sombrero less the better one of parabola and Gaussian
--   with offset, the smaller of both halves; trough_radius: of the curve fitted
--   to one half, the larger of both, null where one has none [half image];
--   rise: held out, mean beyond the trough's ring less that ring's over the
--   mean of the map, mean of both halves, null where one has none; rise_se:
--   standard error of rise over images; anisotropy: of the mean map of all
--   images; is_shaped: at least five radii, R^2 above both other curves in both
--   halves, both troughs inside the image (radius <= 1) and anisotropy at most
--   0.25, null where a map is flat or has fewer radii
with

halves as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        split,
        n,
        radii,
        is_flat,
        sombrero_r_squared - greatest(parabola_r_squared, gaussian_r_squared)
            as gain,
        trough_radius,
        rise,
        rise_se,
    from shapes
),

pairs as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        split,
        sum(n)::bigint as n,
        min(radii) as radii,
        bool_or(is_flat) as is_flat,
        min(gain) as r_squared_gain,
        case when count(trough_radius) = 2 then max(trough_radius) end
            as trough_radius,
        case when count(rise) = 2 then avg(rise) end as rise,
        case when count(rise_se) = 2 then sqrt(sum(rise_se ** 2)) / 2 end
            as rise_se,
    from halves
    group by
        cell_key,
        dataset,
        model,
        variant,
        layer,
        split
    having count(*) = 2
),

cell_layers as (
    select cell_key, layer, is_evidence from layers
),

maps as (
    select cell_key, layer, split, anisotropy from sombrero
),

tested as (
    select
        pairs.*,
        maps.anisotropy,
        cell_layers.is_evidence,
        case
            when not pairs.is_flat and pairs.radii >= 5
                then pairs.r_squared_gain > 0
                    and coalesce(pairs.trough_radius <= 1, false)
                    and coalesce(maps.anisotropy <= 0.25, false)
        end as is_shaped,
    from pairs
    left join maps
        using (cell_key, layer, split)
    left join cell_layers
        using (cell_key, layer)
)

select * from tested
