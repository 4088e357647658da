-- Question: do the classes of an image set sit at different angles?
-- Grain: split, plane, layer, cell (current). k-sample uniform scores test
--   (Mardia 1972; Wheeler & Watson 1964), average ranks on ties, over all
--   classes with an angle; null with fewer than two, or when all angles are
--   one. mww_q is adjusted over every row of this view; effect_size = W / (2 n)
--   in [0, 1] is the class-weighted mean of the squared resultant lengths of
--   the uniform scores
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
        theta_rad,
    from plane_angles
    where theta_rad is not null
),

ranked as (
    select
        *,
        average_rank(
            theta_rad, (cell_key, layer, plane, split)
        ) as mean_rank,
        count(*) over (
            partition by (cell_key, layer, plane, split)
        ) as images,
    from circle
),

class_sums as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        plane,
        split,
        label,
        count(*) as class_n,
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
        plane,
        split,
        label
),

statistics as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        plane,
        split,
        sum(class_n)::bigint as n,
        count(*) as classes,
        count(*) >= 2
            and min(least_rad) < max(greatest_rad) as is_testable,
        2 * sum((cosine_sum ** 2 + sine_sum ** 2) / class_n) as total,
    from class_sums
    group by
        cell_key,
        dataset,
        model,
        variant,
        layer,
        plane,
        split
),

testable as (
    select
        * exclude (is_testable, total),
        case when is_testable then total end as mww_w,
        case when is_testable then 2 * (classes - 1) end as mww_dof,
        case when is_testable then least(1.0, total / (2.0 * n)) end
            as effect_size,
    from statistics
),

tested as (
    select *, chi2_sf_even(mww_w, mww_dof) as mww_p from testable
),

scaled as (
    select *, bh_scaled(mww_p) as scaled_p from tested
),

adjusted as (
    select
        * exclude (scaled_p),
        bh_q(scaled_p, mww_p) as mww_q,
    from scaled
)

select * from adjusted
