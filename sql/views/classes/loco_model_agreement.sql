-- Question: do two models lean the same way, class by class, in frames that
--   were fitted without the class, and on images that the other was not asked?
-- Grain: pair of models, plane, dataset; the cells that the claims are judged
--   by (is_evidence), at their bottlenecks, a before b in the alphabet, over
--   the query split, of one memory and the same pictures. A class's direction
--   from one half of its images is compared with the other model's from the
--   other half, both ways. Classes need a direction in both halves of both
--   models
-- Reads: loco_directions, cells
-- Params: none
-- Columns: plane: 'image' or 'feature'; split: 'query', which alone is asked;
--   model_a: model id of side a; family_a: family of model a; layer_a: layer of
--   side a; cell_key_a: cell of side a; model_b: model id of side b; family_b:
--   family of model b; layer_b: layer of side b; cell_key_b: cell of side b;
--   classes: classes with a direction in both halves of both; agreement: mean
--   over classes of cos(direction a - direction b), both ways; agreement_se:
--   standard error of agreement, deviation over classes / sqrt(classes), null
--   with one class; permutations: orders of the classes compared, all of them
--   where they are no more than would be drawn, null with one class;
--   smallest_p: the smallest permutation_p that they allow; permutation_p:
--   share of orders with an agreement as high, the classes' own included,
--   one-sided; permutation_q: permutation_p after Benjamini-Hochberg over every
--   row of this view
with

evidence as (
    select
        cell_key,
        model,
        family,
        coalesce(memory, 'official') as memory,
        coalesce(dataset_fingerprint, '') as fingerprint,
    from cells
    where is_current
        and is_evidence
),

resultants as (
    select
        cell_key,
        dataset,
        layer,
        label,
        half,
        resultant_image_x,
        resultant_image_y,
        resultant_feature_x,
        resultant_feature_y,
    from loco_directions
),

by_plane as (
    select
        cell_key,
        dataset,
        layer,
        label,
        half,
        'image' as plane,
        direction_of(resultant_image_x, resultant_image_y) as direction_rad,
    from resultants
    union all by name
    select
        cell_key,
        dataset,
        layer,
        label,
        half,
        'feature' as plane,
        direction_of(resultant_feature_x, resultant_feature_y) as direction_rad,
    from resultants
),

directions as (
    select
        by_plane.cell_key,
        by_plane.dataset,
        by_plane.layer,
        by_plane.plane,
        by_plane.label,
        any_value(evidence.model) as model,
        any_value(evidence.family) as family,
        any_value(evidence.memory) as memory,
        any_value(evidence.fingerprint) as fingerprint,
        max(by_plane.direction_rad) filter (by_plane.half = 0) as first_rad,
        max(by_plane.direction_rad) filter (by_plane.half = 1) as second_rad,
    from by_plane
    inner join evidence
        on by_plane.cell_key = evidence.cell_key
    group by
        by_plane.cell_key,
        by_plane.dataset,
        by_plane.layer,
        by_plane.plane,
        by_plane.label
),

compared as (
    select
        a,
        b,
        (
            cos(a.first_rad - b.second_rad) + cos(a.second_rad - b.first_rad)
        ) / 2 as cosine,
    from directions as a
    inner join directions as b
        on a.dataset = b.dataset
        and a.memory = b.memory
        and a.fingerprint = b.fingerprint
        and a.plane = b.plane
        and a.label = b.label
        and a.model < b.model
),

-- One number per pair: its names would be copied into every draw below.
pairs as materialized (
    select
        a.dataset as dataset,
        a.plane as plane,
        a.model as model_a,
        a.family as family_a,
        a.layer as layer_a,
        a.cell_key as cell_key_a,
        b.model as model_b,
        b.family as family_b,
        b.layer as layer_b,
        b.cell_key as cell_key_b,
        count(*) as classes,
        avg(cosine) as agreement,
        stddev_samp(cosine) / sqrt(count(*)) as agreement_se,
        unit_vectors(
            list_concat(
                list(a.first_rad order by a.label),
                list(a.second_rad order by a.label)
            )
        ) as unit_a,
        unit_vectors(
            list_concat(
                list(b.second_rad order by a.label),
                list(b.first_rad order by a.label)
            )
        ) as unit_b,
        row_number() over () as pair,
    from compared
    where cosine is not null
    group by
        a.dataset,
        a.plane,
        a.model,
        a.family,
        a.layer,
        a.cell_key,
        b.model,
        b.family,
        b.layer,
        b.cell_key
),

sizes as (
    select
        classes,
        permutation_count(classes, count(*)) as draws,
        exp(lgamma(classes + 1.0)) < draws + 0.5 as is_complete,
    from pairs
    where classes >= 2
    group by classes
),

orders as (
    select
        classes,
        unnest(range(0, factorial(classes::int)::bigint)) as nth,
    from sizes
    where is_complete
),

seeds as (
    select
        classes,
        unnest(range(1, draws + 1)) as seed,
    from sizes
    where not is_complete
),

permutations as materialized (
    select
        classes,
        0 as beside,
        vector_positions(
            vector_positions(nth_permutation(classes, nth))
        ) as positions,
    from orders
    union all
    select
        classes,
        1 as beside,
        vector_positions(
            vector_positions(label_permutation(classes, seed))
        ) as positions,
    from seeds
),

null_draws as (
    select
        pairs.pair,
        count(*) as permutations,
        count_if(
            mean_cosine(
                pairs.unit_a,
                list_select(pairs.unit_b, permutations.positions)
            ) >= pairs.agreement - 1e-12
        ) as as_high,
        any_value(permutations.beside) as beside,
    from pairs
    inner join permutations
        using (classes)
    group by pairs.pair
),

tested as (
    select
        pairs.* exclude (unit_a, unit_b, pair),
        'query' as split,
        null_draws.permutations,
        smallest_p(
            null_draws.permutations, exp(lgamma(pairs.classes + 1.0))
        ) as smallest_p,
        (null_draws.beside + null_draws.as_high)
            / (null_draws.beside + null_draws.permutations)
            as permutation_p,
    from pairs
    left join null_draws
        using (pair)
),

adjusted as (
    select * rename (q as permutation_q)
    from benjamini_hochberg(tested, permutation_p)
)

select * from adjusted
