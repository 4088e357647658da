-- Question: in which direction does each class lean, and how firmly?
-- Grain: class, split, plane, layer, cell (current); images without an angle
--   are left out of n. The arc runs from ci_low_rad counter-clockwise to
--   ci_high_rad and may cross pi; rayleigh_q is adjusted over every row of this
--   view
-- Reads: plane_angles
-- Params: none
with

circle as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        plane,
        split,
        label,
        class_name,
        theta_rad,
    from plane_angles
    where theta_rad is not null
),

directions as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        plane,
        split,
        label,
        class_name,
        count(*) as n,
        circular_mean(theta_rad) as mean_direction_rad,
        resultant_length(theta_rad) as resultant_length,
        centred_cosine_2(theta_rad) as cosine_2,
    from circle
    group by
        cell_key,
        dataset,
        model,
        variant,
        layer,
        plane,
        split,
        label,
        class_name
),

tested as (
    select
        * exclude (cosine_2),
        rayleigh_p(n, resultant_length) as rayleigh_p,
        mean_direction_half_arc(n, resultant_length, cosine_2)
            as half_arc_rad,
    from directions
),

bounded as (
    select
        *,
        wrap_angle(mean_direction_rad - half_arc_rad) as ci_low_rad,
        wrap_angle(mean_direction_rad + half_arc_rad) as ci_high_rad,
        bh_scaled(rayleigh_p) as scaled_p,
    from tested
),

adjusted as (
    select
        * exclude (scaled_p),
        bh_q(scaled_p, rayleigh_p) as rayleigh_q,
    from bounded
)

select * from adjusted
