-- Question: does theta point at the object, where objects lie anywhere?
-- Grain: object_radius, is_whole, plane, split, layer, cell (current) of a
--   'placed' data set, of every variant that leaves the object. The object's
--   angle is that of its centre about the optical axis, moved as the variant
--   moves the picture. is_whole: it lies in the picture in one piece;
--   one that an edge cuts in two has half of itself at another angle. Where a
--   network crops its pictures, objects near the edge are cut that are called
--   whole here. circular_correlation is Fisher and Lee's rho_T (Fisher 1993,
--   eq. 6.36), which needs no mean direction: object angles have none
-- Reads: records, layers, variant_transforms, plane_angles
-- Params: none
-- Columns: is_whole: the object lies in the picture in one piece; n: images
--   with an angle whose object is not on the axis [images]; mean_cosine: mean
--   over n of cos(theta - the object's angle); mean_cosine_se: its standard
--   error over images; circular_correlation: Fisher and Lee's rho_T of the two
--   angles, 1 for a turn, -1 for a mirror, null below two images;
--   median_error_rad: median over n of |theta - the object's angle| [rad]
with

transforms as (
    select
        variant,
        if(mirror, -1, 1) as sense,
        turn_rad,
    from variant_transforms
),

seen_layers as (
    select cell_key, layer, is_bottleneck from layers
),

placed as (
    select
        cell_key,
        layer,
        image_id,
        object_radius,
        object_x + coalesce(roll_x, 0) as rolled_x,
        object_y + coalesce(roll_y, 0) as rolled_y,
    from records
    where object_radius is not null
),

on_the_torus as (
    select
        cell_key,
        layer,
        image_id,
        object_radius,
        rolled_x - 2 * floor((rolled_x + 1) / 2) as x,
        rolled_y - 2 * floor((rolled_y + 1) / 2) as y,
    from placed
),

circle as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        plane,
        split,
        image_id,
        theta_rad,
    from plane_angles
    where theta_rad is not null
        and not regexp_matches(
            variant, '(^|[+])(constant|phase-noise|white)($|[+])'
        )
),

pairs as (
    select
        circle.*,
        on_the_torus.object_radius,
        greatest(abs(on_the_torus.x), abs(on_the_torus.y))
            + on_the_torus.object_radius <= 1 as is_whole,
        wrap_angle(
            coalesce(transforms.turn_rad, 0)
            + coalesce(transforms.sense, 1)
            * atan2(on_the_torus.y, on_the_torus.x)
        ) as object_rad,
    from circle
    inner join on_the_torus
        on circle.cell_key = on_the_torus.cell_key
        and circle.layer = on_the_torus.layer
        and circle.image_id = on_the_torus.image_id
    left join transforms
        on circle.variant = transforms.variant
    where on_the_torus.x ** 2 + on_the_torus.y ** 2 > 1e-24
),

sums as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        plane,
        split,
        object_radius,
        is_whole,
        count(*) as n,
        avg(cos(theta_rad - object_rad)) as mean_cosine,
        stddev_samp(cos(theta_rad - object_rad)) / sqrt(count(*))
            as mean_cosine_se,
        avg(cos(theta_rad) * cos(object_rad)) as cc,
        avg(sin(theta_rad) * sin(object_rad)) as ss,
        avg(cos(theta_rad) * sin(object_rad)) as cs,
        avg(sin(theta_rad) * cos(object_rad)) as sc,
        resultant_length(2 * theta_rad) as double_theta,
        resultant_length(2 * object_rad) as double_object,
        median(abs(angular_difference(theta_rad, object_rad)))
            as median_error_rad,
    from pairs
    group by
        cell_key,
        dataset,
        model,
        variant,
        layer,
        plane,
        split,
        object_radius,
        is_whole
),

correlated as (
    select
        sums.cell_key,
        sums.dataset,
        sums.model,
        sums.variant,
        sums.layer,
        seen_layers.is_bottleneck,
        sums.plane,
        sums.split,
        sums.object_radius,
        sums.is_whole,
        sums.n,
        sums.mean_cosine,
        sums.mean_cosine_se,
        4 * (sums.cc * sums.ss - sums.cs * sums.sc) / nullif(
            sqrt(
                greatest(1 - sums.double_theta ** 2, 0)
                * greatest(1 - sums.double_object ** 2, 0)
            ),
            0
        ) as circular_correlation,
        sums.median_error_rad,
    from sums
    left join seen_layers
        on sums.cell_key = seen_layers.cell_key
        and sums.layer = seen_layers.layer
)

select * from correlated
