-- Question: how do class bias and class directions of theta_image change when
--   dipoles are centred on their own split instead of the memory split?
-- Grain: class, layer, cell (current); the test's figures (w, dof, p,
--   effect_size, n over all classes) repeat on each of its classes. Only the
--   chi-square tail is given: with fewer than 20 images in a class, or tied
--   angles, read the permutation p of class_bias
-- Reads: records
-- Params: $split ('memory' or 'query')
with

dipoles as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        split,
        label,
        class_name,
        dipole_x,
        dipole_y,
        avg(dipole_x) over (partition by cell_key, layer) as mean_dipole_x,
        avg(dipole_y) over (partition by cell_key, layer) as mean_dipole_y,
    from records
    where split = $split
),

circle as (
    select
        *,
        wrap_angle(
            atan2(dipole_y - mean_dipole_y, dipole_x - mean_dipole_x)
        ) as theta_rad,
    from dipoles
    -- A dipole at the centre itself has no angle.
    where dipole_x <> mean_dipole_x
        or dipole_y <> mean_dipole_y
),

ranked as (
    select
        *,
        average_rank(theta_rad, (cell_key, layer)) as mean_rank,
        count(*) over (partition by (cell_key, layer)) as images,
    from circle
),

directions as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        split,
        label,
        class_name,
        any_value(mean_dipole_x) as mean_dipole_x,
        any_value(mean_dipole_y) as mean_dipole_y,
        any_value(images) as n,
        count(*) as class_n,
        circular_mean(theta_rad) as mean_direction_rad,
        resultant_length(theta_rad) as resultant_length,
        min(theta_rad) as least_rad,
        max(theta_rad) as greatest_rad,
        sum(cos(2 * pi() * mean_rank / images)) as cosine_sum,
        sum(sin(2 * pi() * mean_rank / images)) as sine_sum,
    from ranked
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

summed as (
    select
        * exclude (cosine_sum, sine_sum, least_rad, greatest_rad),
        degrees(mean_direction_rad) as mean_direction_deg,
        count(*) over (partition by cell_key, layer) as classes,
        count(*) over (partition by cell_key, layer) >= 2
            and min(least_rad) over (partition by cell_key, layer)
                < max(greatest_rad) over (partition by cell_key, layer)
            as is_testable,
        2 * sum((cosine_sum ** 2 + sine_sum ** 2) / class_n) over (
            partition by cell_key, layer
        ) as total,
    from directions
),

testable as (
    select
        * exclude (is_testable, total),
        case when is_testable then total end as mww_w,
        case when is_testable then 2 * (classes - 1) end as mww_dof,
        case when is_testable then least(1.0, total / (2.0 * n)) end
            as effect_size,
    from summed
),

tested as (
    select *, chi2_sf_even(mww_w, mww_dof) as mww_chi2_p from testable
)

select * from tested
order by dataset, model, variant, layer, label
