-- Question: do two models lean the same way, class by class, at their
--   bottlenecks?
-- Grain: pair of (model, variant), split, plane, dataset; a before b in the
--   alphabet. agreement = mean over shared classes of cos(direction in a -
--   direction in b); permutation_p is one-sided, against permuted class labels;
--   permutation_q is adjusted over every row of this view
-- Reads: class_directions, layers
-- Params: none
with

bottlenecks as (
    select cell_key, layer
    from layers
    where is_bottleneck
),

directions as (
    select
        class_directions.cell_key,
        class_directions.dataset,
        class_directions.model,
        class_directions.variant,
        class_directions.layer,
        class_directions.plane,
        class_directions.split,
        class_directions.label,
        class_directions.mean_direction_rad,
    from class_directions
    semi join bottlenecks
        on class_directions.cell_key = bottlenecks.cell_key
        and class_directions.layer = bottlenecks.layer
    where class_directions.mean_direction_rad is not null
),

pairs as (
    select
        a.dataset,
        a.plane,
        a.split,
        a.model as model_a,
        a.variant as variant_a,
        a.layer as layer_a,
        a.cell_key as cell_key_a,
        b.model as model_b,
        b.variant as variant_b,
        b.layer as layer_b,
        b.cell_key as cell_key_b,
        count(*) as classes,
        unit_vectors(
            list(a.mean_direction_rad order by a.label)
        ) as unit_a,
        unit_vectors(
            list(b.mean_direction_rad order by a.label)
        ) as unit_b,
    from directions as a
    inner join directions as b
        on a.dataset = b.dataset
        and a.plane = b.plane
        and a.split = b.split
        and a.label = b.label
        and (a.model, a.variant) < (b.model, b.variant)
    group by
        a.dataset,
        a.plane,
        a.split,
        a.model,
        a.variant,
        a.layer,
        a.cell_key,
        b.model,
        b.variant,
        b.layer,
        b.cell_key
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
        measured.cell_key_a,
        measured.cell_key_b,
        measured.plane,
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
        measured.cell_key_a,
        measured.cell_key_b,
        measured.plane,
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
        using (cell_key_a, cell_key_b, plane, split)
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
