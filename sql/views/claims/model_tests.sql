-- Question: does each cell's network lean as networks of other families do,
--   class by class?
-- Grain: plane, cell (current) that is evidence and has directions of classes
--   left out. Mean over the networks of other families on its data set, as if
--   their errors were one; without any it is inconclusive: another family would
--   tell
-- Reads: cells, loco_directions, loco_model_agreement, family_tests
-- Params: none
-- Columns: claim: 3; question: 'beyond controls'; test: what is asked, in
--   words; bar: the first edition's 60 degrees; estimate: mean over the other
--   networks of the mean over classes of cos(direction - theirs), null without
--   any; low: its one-sided 95 % lower bound; high: its upper bound; margin:
--   estimate less bar; q: as in family_tests, median over these networks, null
--   without any; state: 'holds', 'refuted', 'inconclusive' or 'not tested'
with

evidence as (
    select cell_key, dataset, model, family
    from cells
    where is_current
        and is_evidence
),

directed as (
    select distinct cell_key from loco_directions
),

pairs as (
    select
        cell_key_a,
        cell_key_b,
        plane,
        classes,
        agreement,
        agreement_se,
    from loco_model_agreement
    where family_a <> family_b
),

adjusted as (
    select cell_key, cell_key_b, question, q
    from family_tests
),

pairs_with_q as (
    select pairs.*, adjusted.q
    from pairs
    left join adjusted
        on pairs.cell_key_a = adjusted.cell_key
        and pairs.cell_key_b = adjusted.cell_key_b
        and adjusted.question = 'models agree, ' || pairs.plane
),

both_ways as (
    select * exclude (cell_key_b) rename (cell_key_a as cell_key)
    from pairs_with_q
    union all by name
    select * exclude (cell_key_a) rename (cell_key_b as cell_key)
    from pairs_with_q
),

planes as (
    select unnest(['image', 'feature']) as plane
),

means as (
    select
        evidence.cell_key,
        evidence.dataset,
        evidence.model,
        evidence.family,
        planes.plane,
        min(both_ways.classes) as classes,
        avg(both_ways.agreement) as estimate,
        avg(both_ways.agreement_se) as se,
        median(both_ways.q) as q,
    from evidence
    semi join directed
        on evidence.cell_key = directed.cell_key
    cross join planes
    left join both_ways
        on evidence.cell_key = both_ways.cell_key
        and planes.plane = both_ways.plane
    group by
        evidence.cell_key,
        evidence.dataset,
        evidence.model,
        evidence.family,
        planes.plane
),

bounded as (
    select
        *,
        0.5 as bar,
        estimate - t_quantile_95(classes - 1) * se as low,
        estimate + t_quantile_95(classes - 1) * se as high,
        state_of(low, high, bar) as bare_state,
    from means
),

judged as (
    select
        3::bigint as claim,
        'beyond controls' as question,
        case plane
            when 'image' then 'image plane, models of other families'
            else 'activation space, models of other families'
        end as test,
        dataset,
        model,
        cell_key,
        family,
        bar::double as bar,
        estimate,
        low,
        high,
        estimate - bar as margin,
        q,
        case
            when estimate is null then 'inconclusive'
            when bare_state = 'holds' and not coalesce(q < 0.01, false)
                then 'inconclusive'
            else bare_state
        end as state,
    from bounded
)

select * from judged
