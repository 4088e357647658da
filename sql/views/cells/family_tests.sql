-- Question: which tests are one family, and what is the q of each in it?
-- Grain: question, cell, other cell (null but of pairs of models). One family
--   of tests per question, the same whatever else the lake holds: cells that
--   are evidence (original, no phantom, no repeat) at their bottleneck, query
--   split. The q of other views are adjusted over every row of theirs, so that
--   a control that is added changes them
-- Reads: class_bias, plane_agreement_by_frame,
--   loco_model_agreement, layers
-- Params: none
-- Columns: question: 'class bias, image', 'class bias, feature', 'planes
--   agree', 'models agree, image' or 'models agree, feature'; cell_key_b: the
--   other cell of a pair of models, null else; p: mww_p, agreement_p with each
--   class left out, or permutation_p of two models of different families, null
--   where that is or where the draws can't tell 0.01; tests: of this question
--   with a p; q: p after Benjamini-Hochberg over the tests of this question
with

bottlenecks as (
    select
        cell_key,
        dataset,
        layer,
    from layers
    where is_bottleneck
        and is_evidence
),

biases as (
    select
        cell_key,
        layer,
        plane,
        mww_p,
    from class_bias
    where split = 'query'
),

planes as (
    select
        cell_key,
        layer,
        resolved_p(
            agreement_p, draws, smallest_p(draws, gamma(classes + 1)), 0.01
        ) as permutation_p,
    from plane_agreement_by_frame
    where frame = 'loco'
),

model_pairs as (
    select
        dataset,
        cell_key_a,
        cell_key_b,
        plane,
        permutation_p,
    from loco_model_agreement
    where family_a <> family_b
),

tested as (
    select
        concat('class bias, ', biases.plane) as question,
        bottlenecks.dataset,
        bottlenecks.cell_key,
        null::varchar as cell_key_b,
        biases.mww_p as p,
    from biases
    inner join bottlenecks
        using (cell_key, layer)
    union all by name
    select
        'planes agree' as question,
        bottlenecks.dataset,
        bottlenecks.cell_key,
        null::varchar as cell_key_b,
        planes.permutation_p as p,
    from planes
    inner join bottlenecks
        using (cell_key, layer)
    union all by name
    select
        concat('models agree, ', plane) as question,
        dataset,
        cell_key_a as cell_key,
        cell_key_b,
        permutation_p as p,
    from model_pairs
),

scaled as (
    select
        *,
        count(p) over (partition by question) as tests,
        p * tests / count(p) over (partition by question order by p)
            as scaled_p,
    from tested
),

adjusted as (
    select
        * exclude (scaled_p),
        case
            when p is not null
                then least(
                    1.0,
                    min(scaled_p) over (partition by question order by p desc)
                )
        end as q,
    from scaled
)

select * from adjusted
