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
--   0.25, null where a map is flat or has fewer radii; r_squared_gain_se:
--   standard error of a half's gain, mean of both, null like the other errors
--   where a group of images can't be left out, and before schema 8; fall: mean
--   of both halves' b over their map's mean, above 0 where the energy falls
--   from the centre; fall_se: its standard error; turn: mean of both halves' (2
--   c - b) over their map's mean, above 0 where the energy rises again at r =
--   1; turn_se: its standard error; shared_anisotropy: share of the variance
--   over pixels that is angular in both halves alike; shared_anisotropy_se: its
--   standard error
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
        gain_se,
        fall,
        fall_se,
        turn,
        turn_se,
        anisotropy as shared_anisotropy,
        anisotropy_se,
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
        avg(gain_se) as r_squared_gain_se,
        avg(fall) as fall,
        case when count(fall_se) = 2 then sqrt(sum(fall_se ** 2)) / 2 end
            as fall_se,
        avg(turn) as turn,
        case when count(turn_se) = 2 then sqrt(sum(turn_se ** 2)) / 2 end
            as turn_se,
        avg(shared_anisotropy) as shared_anisotropy,
        avg(anisotropy_se) as shared_anisotropy_se,
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
