-- Question: in which direction does each class lean, and how firmly?
-- Grain: class, split, plane, layer, cell (current); images without an angle
--   are left out of n, weak_share is the weak ones' share of n. The 95 % arc
--   runs from ci_low_rad counter-clockwise to ci_high_rad and may cross pi:
--   below 50 images by the studentised bootstrap (Fisher & Hall 1989), from 50
--   by the large-sample formula; ci_method says which, null where the sample
--   does not bound its direction. rayleigh_q is adjusted over every row of this
--   view
-- Reads: plane_angles
-- Params: none
with

circle as not materialized (
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
        is_weak,
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
        avg(is_weak::integer) as weak_share,
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

small_classes as (
    select
        cell_key,
        layer,
        plane,
        split,
        label,
        mean_direction_rad,
    from directions
    where n < 50
        and mean_direction_rad is not null
),

deviations as (
    select
        circle.cell_key,
        circle.layer,
        circle.plane,
        circle.split,
        circle.label,
        angular_difference(
            circle.theta_rad, small_classes.mean_direction_rad
        ) as deviation_rad,
    from circle
    inner join small_classes
        using (cell_key, layer, plane, split, label)
),

-- Ordered by angle: the order of the images must not show in the arc.
samples as (
    select
        cell_key,
        layer,
        plane,
        split,
        label,
        count(*) as n,
        list(cos(deviation_rad) order by deviation_rad) as cosines,
        list(sin(deviation_rad) order by deviation_rad) as sines,
        list(cos(2 * deviation_rad) order by deviation_rad) as cosines_2,
        list(sin(2 * deviation_rad) order by deviation_rad) as sines_2,
    from deviations
    group by
        cell_key,
        layer,
        plane,
        split,
        label
),

seeds as (
    select
        n,
        unnest(range(1, 1000)) as seed,
    from (select distinct n from samples) as sizes
),

drawings as (
    select n, resample(n, seed) as drawn from seeds
),

resamples as materialized (
    select n, drawn_shares(drawn) as shares from drawings
),

resampled as (
    select
        samples.cell_key,
        samples.layer,
        samples.plane,
        samples.split,
        samples.label,
        studentised_square(
            list_dot_product(samples.cosines, resamples.shares),
            list_dot_product(samples.sines, resamples.shares),
            list_dot_product(samples.cosines_2, resamples.shares),
            list_dot_product(samples.sines_2, resamples.shares)
        ) as square,
    from samples
    inner join resamples
        using (n)
),

quantiles as (
    select
        cell_key,
        layer,
        plane,
        split,
        label,
        quantile_disc(square, 0.95) as square_95,
    from resampled
    group by
        cell_key,
        layer,
        plane,
        split,
        label
),

tested as (
    select
        directions.* exclude (cosine_2),
        rayleigh_p(directions.n, directions.resultant_length) as rayleigh_p,
        case
            when directions.n < 50
                then bootstrap_half_arc(
                    quantiles.square_95,
                    directions.resultant_length,
                    directions.cosine_2
                )
            else mean_direction_half_arc(
                directions.n,
                directions.resultant_length,
                directions.cosine_2
            )
        end as half_arc_rad,
    from directions
    left join quantiles
        using (cell_key, layer, plane, split, label)
),

bounded as (
    select
        *,
        wrap_angle(mean_direction_rad - half_arc_rad) as ci_low_rad,
        wrap_angle(mean_direction_rad + half_arc_rad) as ci_high_rad,
        case
            when half_arc_rad is null then null
            when n < 50 then 'bootstrap'
            else 'large sample'
        end as ci_method,
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
