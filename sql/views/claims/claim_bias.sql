-- Question: claim 3, do classes lean towards an angle, in both planes at once?
-- Grain: the claim (one row). At bottlenecks, in the query split, it holds when
--   in >= 2/3 of the evidence cells both planes have a class bias with q < 0.01
--   and effect size >= 0.05; in more than half of the cells the planes agree
--   (mean cosine >= 0.5, permutation p < 0.05); and in more than half of the
--   pairs of models, where there are pairs, the models agree so in both planes.
--   caveat: the same at random weights, the pictures' own directions, and how
--   theta follows mirrored and turned pictures
-- Reads: layers, class_bias, plane_agreement, model_agreement, controls,
--   composition
-- Params: none
-- Columns: claim: number of the paper's claim, 1 to 5; statement: the claim in
--   words; is_untested: the lake holds no evidence cell to judge the claim by;
--   is_met: the rule of this view is met, of no meaning where is_untested;
--   evidence: one sentence with the numbers that the rule judges; caveat: the
--   same at random weights, the pictures' own directions, and how theta follows
--   mirrored and turned pictures, null without any of these
with

bottlenecks as (
    select
        cell_key,
        layer,
        variant = 'random-init' as is_random,
    from layers
    where is_bottleneck
        and (is_evidence or variant = 'random-init')
        and not is_repeated
        and not is_planted
),

cell_bias as (
    select
        class_bias.cell_key,
        count(*) = 2
            and bool_and(
                coalesce(
                    class_bias.mww_q < 0.01
                    and class_bias.effect_size >= 0.05,
                    false
                )
            ) as is_biased,
        min(class_bias.effect_size) as effect_size,
    from class_bias
    semi join bottlenecks
        on class_bias.cell_key = bottlenecks.cell_key
        and class_bias.layer = bottlenecks.layer
    where class_bias.split = 'query'
    group by class_bias.cell_key
),

cell_planes as (
    select
        plane_agreement.cell_key,
        plane_agreement.agreement >= 0.5
            and plane_agreement.permutation_p < 0.05 as planes_agree,
        plane_agreement.agreement,
    from plane_agreement
    semi join bottlenecks
        on plane_agreement.cell_key = bottlenecks.cell_key
        and plane_agreement.layer = bottlenecks.layer
    where plane_agreement.split = 'query'
),

bias as (
    select
        bottlenecks.is_random,
        count(*) as cells,
        count_if(cell_bias.is_biased) as biased,
        median(cell_bias.effect_size) as effect_size,
        count_if(cell_planes.planes_agree) as planes_agree,
        median(cell_planes.agreement) as plane_agreement,
    from bottlenecks
    inner join cell_bias
        on bottlenecks.cell_key = cell_bias.cell_key
    left join cell_planes
        on bottlenecks.cell_key = cell_planes.cell_key
    group by bottlenecks.is_random
),

model_pairs as (
    select
        cell_key_a,
        cell_key_b,
        count(*) = 2
            and bool_and(
                coalesce(agreement >= 0.5 and permutation_p < 0.05, false)
            ) as models_agree,
        min(agreement) as agreement,
    from model_agreement
    where is_evidence
        and split = 'query'
    group by
        cell_key_a,
        cell_key_b
),

consistency as (
    select
        count(*) as pairs,
        count_if(models_agree) as pairs_agree,
        median(agreement) as agreement,
    from model_pairs
),

undrawn as (
    select cell_key
    from layers
    where not is_planted
),

followed as (
    select
        median(complex_correlation) filter (where variant = 'hflip')
            as mirrored,
        median(complex_correlation) filter (where variant = 'rot90') as turned,
        median(class_agreement) filter (where variant = 'random-init')
            as random_agreement,
    from controls
    where is_bottleneck
        and split = 'query'
        and model not in ('pixels', 'bank')
        and cell_key in (from undrawn)
),

pictures as (
    select
        count(*) as tests,
        count_if(composition.permutation_p < 0.05) as tests_related,
        median(composition.agreement) as agreement,
    from composition
    semi join bottlenecks
        on composition.cell_key = bottlenecks.cell_key
        and not bottlenecks.is_random
    where composition.split = 'query'
),

judged as (
    select
        coalesce(trained.cells, 0) as cells,
        3 * trained.biased >= 2 * trained.cells
            and 2 * trained.planes_agree > trained.cells
            and (
                consistency.pairs = 0
                or 2 * consistency.pairs_agree > consistency.pairs
            ) as is_met,
        format(
            'Classes are biased in both planes in {} of {} cells (median '
            || 'effect size {:.3f}), the planes agree in {} (median cosine '
            || '{}), and {}.',
            trained.biased,
            trained.cells,
            trained.effect_size,
            trained.planes_agree,
            coalesce(format('{:.2f}', trained.plane_agreement), 'undefined'),
            case
                when consistency.pairs = 0
                    then 'no dataset has two models to compare'
                else format(
                    'models agree in {} of {} pairs (median cosine {})',
                    consistency.pairs_agree,
                    consistency.pairs,
                    coalesce(
                        format('{:.2f}', consistency.agreement), 'undefined'
                    )
                )
            end
        ) as evidence,
        nullif(
            concat_ws(
                ' ',
                format(
                    'At random weights {} of {} cells are biased (median '
                    || 'effect size {:.3f}) and the planes agree in {} '
                    || '(median cosine {:.2f}).',
                    random_weights.biased,
                    random_weights.cells,
                    random_weights.effect_size,
                    random_weights.planes_agree,
                    random_weights.plane_agreement
                ),
                format(
                    'Their class directions agree with the trained ones at '
                    || '{:.2f}.',
                    followed.random_agreement
                ),
                format(
                    'Class directions are related to those of the pictures '
                    || 'themselves in {} of {} tests (median cosine {:.2f}).',
                    pictures.tests_related,
                    pictures.tests,
                    pictures.agreement
                ),
                format(
                    'Theta follows a mirrored picture with correlation '
                    || '{:.2f}.',
                    followed.mirrored
                ),
                format(
                    'Theta follows a picture turned by 90 degrees with '
                    || 'correlation {:.2f}.',
                    followed.turned
                )
            ),
            ''
        ) as caveat,
    from consistency
    cross join followed
    cross join pictures
    left join (select * from bias where not is_random) as trained
        on true
    left join (select * from bias where is_random) as random_weights
        on true
),

claim as (
    select
        3 as claim,
        'Classes have a consistent bias towards an angle theta, in the image '
            || 'plane and in feature space at once' as statement,
        cells = 0 as is_untested,
        is_met,
        evidence,
        caveat,
    from judged
)

select * from claim
