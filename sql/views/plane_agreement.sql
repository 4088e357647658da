-- Question: do classes lean the same way in the image and in the feature plane?
-- Grain: split, layer, cell (current). agreement = mean over classes of
--   cos(image direction - feature direction); permutation_p is one-sided,
--   against permuted class labels; permutation_q is adjusted over every row of
--   this view
-- Reads: class_directions
-- Params: none
with

directions as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        split,
        plane,
        label,
        mean_direction_rad,
    from class_directions
    where mean_direction_rad is not null
),

image_plane as (
    select * from directions where plane = 'image'
),

feature_plane as (
    select * from directions where plane = 'feature'
),

pairs as (
    select
        image_plane.cell_key,
        image_plane.dataset,
        image_plane.model,
        image_plane.variant,
        image_plane.layer,
        image_plane.split,
        count(*) as classes,
        unit_vectors(
            list(
                image_plane.mean_direction_rad
                order by image_plane.label
            )
        ) as unit_a,
        unit_vectors(
            list(
                feature_plane.mean_direction_rad
                order by image_plane.label
            )
        ) as unit_b,
    from image_plane
    inner join feature_plane
        using (cell_key, layer, split, label)
    group by
        image_plane.cell_key,
        image_plane.dataset,
        image_plane.model,
        image_plane.variant,
        image_plane.layer,
        image_plane.split
),

measured as (
    select *, mean_cosine(unit_a, unit_b) as agreement from pairs
),

seeds as (
    select
        sizes.classes,
        unnest(range(1, permutation_count(sizes.classes) + 1)) as seed,
    from (select distinct classes from pairs where classes >= 2) as sizes
),

permutations as materialized (
    select classes, label_permutation(classes, seed) as permutation
    from seeds
),

null_draws as (
    select
        measured.cell_key,
        measured.layer,
        measured.split,
        count(*) as permutations,
        count_if(
            mean_cosine(
                measured.unit_a,
                permuted_vectors(measured.unit_b, permutations.permutation)
            ) >= measured.agreement - 1e-12
        ) as as_high,
    from measured
    inner join permutations
        using (classes)
    group by
        measured.cell_key,
        measured.layer,
        measured.split
),

tested as (
    select
        measured.* exclude (unit_a, unit_b),
        null_draws.permutations,
        (1 + null_draws.as_high) / (1 + null_draws.permutations)
            as permutation_p,
    from measured
    left join null_draws
        using (cell_key, layer, split)
),

scaled as (
    select *, bh_scaled(permutation_p) as scaled_p from tested
),

adjusted as (
    select
        * exclude (scaled_p),
        bh_q(scaled_p, permutation_p) as permutation_q,
    from scaled
)

select * from adjusted
