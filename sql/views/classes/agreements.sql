-- Question: do two sets of class directions agree better than permuted classes
--   would?
-- Grain: that of direction_pairs. agreement = mean over classes of
--   cos(direction a - direction b); permutation_p is one-sided, against
--   permuted class labels, null with one class
-- Reads: direction_pairs
-- Params: none
-- Columns: agreement: mean over classes of cos(direction a - direction b);
--   permutations: label permutations drawn, null with one class; smallest_p:
--   the smallest permutation_p that they and the orders of the classes allow,
--   null with one class; permutation_p:
--   (1 + permutations with an agreement as high) / (1 + permutations),
--   one-sided, null with one class; permutation_p_two_sided: (1 + permutations
--   with an |agreement| as large) / (1 + permutations), null with one class
with

pairs as (
    select
        kind,
        cell_key_a,
        layer_a,
        plane_a,
        cell_key_b,
        layer_b,
        plane_b,
        split,
        classes,
        unit_a,
        unit_b,
    from direction_pairs
),

-- One number per pair: its names would be copied into every draw below.
measured as materialized (
    select
        *,
        mean_cosine(unit_a, unit_b) as agreement,
        row_number() over () as pair,
    from pairs
),

sizes as (
    select
        classes,
        count(*) as pairs,
    from measured
    where classes >= 2
    group by classes
),

seeds as (
    select
        classes,
        unnest(range(1, permutation_count(classes, pairs) + 1)) as seed,
    from sizes
),

permutations as materialized (
    select
        classes,
        vector_positions(label_permutation(classes, seed)) as positions,
    from seeds
),

drawn as (
    select
        measured.pair,
        measured.agreement - 1e-12 as least_agreement,
        abs(measured.agreement) - 1e-12 as least_size,
        mean_cosine(
            measured.unit_a,
            list_select(measured.unit_b, permutations.positions)
        ) as null_agreement,
    from measured
    inner join permutations
        using (classes)
),

null_draws as (
    select
        pair,
        count(*) as permutations,
        count_if(null_agreement >= least_agreement) as as_high,
        count_if(abs(null_agreement) >= least_size) as as_large,
    from drawn
    group by pair
),

tested as (
    select
        measured.* exclude (unit_a, unit_b, pair),
        null_draws.permutations,
        smallest_p(
            null_draws.permutations, exp(lgamma(measured.classes + 1.0))
        ) as smallest_p,
        (1 + null_draws.as_high) / (1 + null_draws.permutations)
            as permutation_p,
        (1 + null_draws.as_large) / (1 + null_draws.permutations)
            as permutation_p_two_sided,
    from measured
    left join null_draws
        using (pair)
)

select * from tested
