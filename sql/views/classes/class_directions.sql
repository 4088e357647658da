-- Question: in which direction does each class lean, and how firmly?
-- Grain: class, split, plane, layer, cell (current); images without an angle
--   are left out of n, weak_share is the weak ones' share of n. The 95 % arc
--   runs from ci_low_rad counter-clockwise to ci_high_rad and may cross pi:
--   below 50 images by the studentised bootstrap (Fisher & Hall 1989), from 50
--   by the large-sample formula; ci_method says which, null where the sample
--   does not bound its direction. rayleigh_q is adjusted over every row of this
--   view
-- Reads: angles, plane_angles
-- Params: none
-- Columns: n: images of the class with an angle [images]; weak_share: share of
--   n whose angle is weak, null without a floor; mean_direction_rad: mean
--   direction of the class's angles, null where R < 1e-12 [rad];
--   resultant_length: mean resultant length R of the class's angles;
--   rayleigh_p: p of the Rayleigh test of the class's angles; half_arc_rad:
--   half width of the 95 % confidence arc of the mean direction, null where the
--   sample does not bound it [rad]; ci_low_rad: clockwise end of the 95 %
--   confidence arc, null without one [rad]; ci_high_rad: counter-clockwise end
--   of the 95 % confidence arc, below ci_low_rad where it crosses pi, null
--   without one [rad]; ci_method: 'bootstrap' below 50 images (Fisher & Hall),
--   'large sample' from 50 (Fisher), null without an arc; rayleigh_q:
--   rayleigh_p after Benjamini-Hochberg over every row of this view
with

images_by_plane as not materialized (
    select
        cell_key,
        layer,
        plane,
        split,
        label,
        theta_rad,
    from plane_angles
),

-- Both planes in one pass: reading the images is what this view costs.
points as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        split,
        label,
        class_name,
        cos(theta_image_rad) as cosine_image,
        sin(theta_image_rad) as sine_image,
        cos(theta_feature_rad) as cosine_feature,
        sin(theta_feature_rad) as sine_feature,
        case when theta_image_rad is not null then is_weak_image end
            as is_weak_image,
        case when theta_feature_rad is not null then is_weak_feature end
            as is_weak_feature,
    from angles
),

-- cos 2t = 2 cos^2 t - 1 and sin 2t = 2 cos t sin t.
sums as materialized (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        split,
        label,
        class_name,
        count(cosine_image) as n_image,
        count(is_weak_image) as judged_image,
        count_if(is_weak_image) as weak_image,
        sum(cosine_image) as cosine_sum_image,
        sum(sine_image) as sine_sum_image,
        sum(cosine_image * cosine_image) as cosine_squares_image,
        sum(cosine_image * sine_image) as products_image,
        count(cosine_feature) as n_feature,
        count(is_weak_feature) as judged_feature,
        count_if(is_weak_feature) as weak_feature,
        sum(cosine_feature) as cosine_sum_feature,
        sum(sine_feature) as sine_sum_feature,
        sum(cosine_feature * cosine_feature) as cosine_squares_feature,
        sum(cosine_feature * sine_feature) as products_feature,
    from points
    group by
        cell_key,
        dataset,
        model,
        variant,
        layer,
        split,
        label,
        class_name
),

image_plane as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        'image' as plane,
        split,
        label,
        class_name,
        n_image as n,
        weak_image / nullif(judged_image, 0) as weak_share,
        cosine_sum_image / n_image as cosine,
        sine_sum_image / n_image as sine,
        2 * cosine_squares_image / n_image - 1 as cosine_2,
        2 * products_image / n_image as sine_2,
    from sums
    where n_image > 0
),

feature_plane as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        'feature' as plane,
        split,
        label,
        class_name,
        n_feature as n,
        weak_feature / nullif(judged_feature, 0) as weak_share,
        cosine_sum_feature / n_feature as cosine,
        sine_sum_feature / n_feature as sine,
        2 * cosine_squares_feature / n_feature - 1 as cosine_2,
        2 * products_feature / n_feature as sine_2,
    from sums
    where n_feature > 0
),

moments as (
    select * from image_plane
    union all by name
    select * from feature_plane
),

directions as (
    select
        * exclude (cosine, sine, cosine_2, sine_2),
        direction_of(cosine, sine) as mean_direction_rad,
        resultant_of(cosine, sine) as resultant_length,
        centred_cosine_2_of(cosine, sine, cosine_2, sine_2) as cosine_2,
    from moments
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
        small_classes.cell_key,
        small_classes.layer,
        small_classes.plane,
        small_classes.split,
        small_classes.label,
        angular_difference(
            images_by_plane.theta_rad, small_classes.mean_direction_rad
        ) as deviation_rad,
    from images_by_plane
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
    where deviation_rad is not null
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
    from tested
),

adjusted as (
    select * rename (q as rayleigh_q)
    from benjamini_hochberg(bounded, rayleigh_p)
)

select * from adjusted
