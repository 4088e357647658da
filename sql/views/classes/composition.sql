-- Question: how much of the class direction is already in the pictures?
-- Grain: split, plane, cell (current; original, random-init) at its bottleneck
--   against the image plane of the dataset's `pixels` cell; empty without one.
--   agreement and permutation_p as in agreements; permutation_q is adjusted
--   over every row of this view. image_correlation = Re(sum conj(w) z) /
--   sqrt(sum |w|^2 sum |z|^2), z = strength e^{i theta} of the n images, w that
--   of the pictures
-- Reads: agreements, layers, plane_angles
-- Params: none
-- Columns: pixels_key: the `pixels` cell of the dataset; agreement: mean over
--   classes of cos(class direction - that of the pictures); permutation_p: (1 +
--   permutations with an |agreement| as large) / (1 + permutations), two-sided,
--   null with one class; n: images with an angle in both cells [images];
--   image_correlation: Re(sum conj(w) z) / sqrt(sum |w|^2 sum |z|^2) over n, z
--   = strength e^(i theta), w that of the pictures; permutation_q:
--   permutation_p after Benjamini-Hochberg over every row of this view
with

tests as (
    select
        cell_key_a,
        layer_a,
        plane_a,
        cell_key_b,
        layer_b,
        plane_b,
        split,
        classes,
        agreement,
        permutations,
        smallest_p,
        permutation_p_two_sided as permutation_p,
    from agreements
    where kind = 'pixels'
),

cell_layers as (
    select cell_key, dataset, model, variant, layer from layers
),

circle as (
    select
        cell_key,
        layer,
        plane,
        split,
        image_id,
        theta_rad,
        strength,
    from plane_angles
    where theta_rad is not null
),

-- Materialised: joining all images with all images first would take minutes.
observed as materialized (
    select
        tests.cell_key_a,
        tests.plane_a,
        tests.split,
        tests.cell_key_b,
        tests.layer_b,
        tests.plane_b,
        circle.image_id,
        circle.theta_rad,
        circle.strength,
    from tests
    inner join circle
        on tests.cell_key_a = circle.cell_key
        and tests.layer_a = circle.layer
        and tests.plane_a = circle.plane
        and tests.split = circle.split
),

correlations as (
    select
        a.cell_key_a,
        a.plane_a,
        a.split,
        count(*) as n,
        sum(a.strength * b.strength * cos(a.theta_rad - b.theta_rad))
            / nullif(sqrt(sum(a.strength ** 2) * sum(b.strength ** 2)), 0)
            as image_correlation,
    from observed as a
    inner join circle as b
        on a.cell_key_b = b.cell_key
        and a.layer_b = b.layer
        and a.plane_b = b.plane
        and a.image_id = b.image_id
    group by
        a.cell_key_a,
        a.plane_a,
        a.split
),

compared as (
    select
        cell_layers.*,
        tests.plane_a as plane,
        tests.split,
        tests.cell_key_b as pixels_key,
        tests.classes,
        tests.agreement,
        tests.permutations,
        tests.smallest_p,
        tests.permutation_p,
        correlations.n,
        correlations.image_correlation,
    from tests
    inner join cell_layers
        on tests.cell_key_a = cell_layers.cell_key
        and tests.layer_a = cell_layers.layer
    left join correlations
        on tests.cell_key_a = correlations.cell_key_a
        and tests.plane_a = correlations.plane_a
        and tests.split = correlations.split
),

adjusted as (
    select * rename (q as permutation_q)
    from benjamini_hochberg(compared, permutation_p)
)

select * from adjusted
