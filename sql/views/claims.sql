-- Question: which claims of arXiv 2206.02220 hold on this lake?
-- Grain: claim (five rows). Evidence cells: variant 'original', bottleneck
--   layer, query split, datasets whose id does not start with 'phantom' (those
--   are controls). A claim without evidence is 'not tested'. It holds when:
--   1: in >= 2/3 of the cells the EE50 of the mean energy map is below 0.95
--      sqrt(2 / pi) (uniform light: sqrt(2 / pi) = 0.798) and the median polar
--      angle is below half its bound arccos(1 / sqrt N)
--   2: in >= 2/3 of the cells the Sombrero fit has R^2 >= 0.9, the mean energy
--      map has an anisotropy <= 0.25, and its energy falls from the centre
--      (hat or dome)
--   3: in >= 2/3 of the cells both planes have a class bias with q < 0.01 and
--      effect size >= 0.05; in more than half of the cells the planes agree
--      (mean cosine >= 0.5, permutation p < 0.05); and in more than half of the
--      pairs of models, where there are pairs, the models agree so in both
--      planes
--   4: in >= 2/3 of the cells 1-NN accuracy by theta and by the pooled vector
--      both have a Wilson 95 % interval above chance and reach 1.5 x chance
--   5: in every task some arm's paired gain has a 95 % interval above 0 and a
--      permutation p < 0.05
-- Reads: layers, records, frames, sombrero, class_bias, plane_agreement,
--   model_agreement, memory_report, training_effect
-- Params: none
with

evidence_cells as (
    select cell_key, layer
    from layers
    where is_bottleneck
        and variant = 'original'
        and not starts_with(dataset, 'phantom')
),

evidence_maps as (
    select
        sombrero.cell_key,
        sombrero.ee50_radius,
        sombrero.anisotropy,
        sombrero.r_squared,
        sombrero.shape,
    from sombrero
    semi join evidence_cells
        on sombrero.cell_key = evidence_cells.cell_key
        and sombrero.layer = evidence_cells.layer
    where sombrero.split = 'query'
),

openings as (
    select
        records.cell_key,
        median(records.polar_angle_rad)
            / acos(1 / sqrt(any_value(frames.channels))) as share_of_bound,
    from records
    semi join evidence_cells
        on records.cell_key = evidence_cells.cell_key
        and records.layer = evidence_cells.layer
    inner join frames
        on records.cell_key = frames.cell_key
        and records.layer = frames.layer
    where records.split = 'query'
    group by records.cell_key
),

focus as (
    select
        count(*) as cells,
        count_if(
            evidence_maps.ee50_radius < 0.95 * sqrt(2 / pi())
            and openings.share_of_bound < 0.5
        ) as passing,
        median(evidence_maps.ee50_radius) as ee50_radius,
        median(openings.share_of_bound) as share_of_bound,
    from evidence_maps
    inner join openings
        using (cell_key)
),

claim_1 as (
    select
        1 as claim,
        'Information concentrates about the principal ray: the image centre '
            || 'and the medial vector' as statement,
        cells = 0 as is_untested,
        3 * passing >= 2 * cells as is_met,
        format(
            'Light is focused and activations stay near the medial vector in '
            || '{} of {} cells (median EE50 {:.3f}, uniform light 0.798; '
            || 'median polar angle {:.2f} of its bound).',
            passing, cells, ee50_radius, share_of_bound
        ) as evidence,
    from focus
),

hats as (
    select
        count(*) as cells,
        count_if(
            r_squared >= 0.9
            and anisotropy <= 0.25
            and shape in ('hat', 'dome')
        ) as passing,
        count_if(shape = 'hat') as hats,
        count_if(shape = 'dome') as domes,
        count_if(shape = 'bowl') as bowls,
        median(r_squared) as r_squared,
        median(anisotropy) as anisotropy,
    from evidence_maps
),

claim_2 as (
    select
        2 as claim,
        'Bottleneck energy is concentrated and symmetric about the origin, '
            || 'a Sombrero potential' as statement,
        cells = 0 as is_untested,
        3 * passing >= 2 * cells as is_met,
        format(
            'The mean energy falls from the centre as a round Sombrero in {} '
            || 'of {} cells (median R^2 {:.3f}, anisotropy {:.3f}; {} hats '
            || 'with the trough inside the image, {} domes, {} bowls).',
            passing, cells, r_squared, anisotropy, hats, domes, bowls
        ) as evidence,
    from hats
),

cell_bias as (
    select
        class_bias.cell_key,
        count(*) = 2
            and bool_and(
                class_bias.mww_q < 0.01 and class_bias.effect_size >= 0.05
            ) as is_biased,
        min(class_bias.effect_size) as effect_size,
    from class_bias
    semi join evidence_cells
        on class_bias.cell_key = evidence_cells.cell_key
        and class_bias.layer = evidence_cells.layer
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
    semi join evidence_cells
        on plane_agreement.cell_key = evidence_cells.cell_key
        and plane_agreement.layer = evidence_cells.layer
    where plane_agreement.split = 'query'
),

bias as (
    select
        count(*) as cells,
        count_if(cell_bias.is_biased) as biased,
        median(cell_bias.effect_size) as effect_size,
        count_if(cell_planes.planes_agree) as planes_agree,
        median(cell_planes.agreement) as plane_agreement,
    from cell_bias
    left join cell_planes
        using (cell_key)
),

model_pairs as (
    select
        cell_key_a,
        cell_key_b,
        count(*) = 2
            and bool_and(agreement >= 0.5 and permutation_p < 0.05)
            as models_agree,
        min(agreement) as agreement,
    from model_agreement
    where variant_a = 'original'
        and variant_b = 'original'
        and split = 'query'
        and not starts_with(dataset, 'phantom')
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

claim_3 as (
    select
        3 as claim,
        'Classes have a consistent bias towards an angle theta, in the image '
            || 'plane and in feature space at once' as statement,
        bias.cells = 0 as is_untested,
        3 * bias.biased >= 2 * bias.cells
            and 2 * bias.planes_agree > bias.cells
            and (
                consistency.pairs = 0
                or 2 * consistency.pairs_agree > consistency.pairs
            ) as is_met,
        format(
            'Classes are biased in both planes in {} of {} cells (median '
            || 'effect size {:.3f}), the planes agree in {} (median cosine '
            || '{}), and {}.',
            bias.biased,
            bias.cells,
            bias.effect_size,
            bias.planes_agree,
            coalesce(format('{:.2f}', bias.plane_agreement), 'undefined'),
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
    from bias
    cross join consistency
),

nearest_one as (
    select
        memory_report.cell_key,
        memory_report.scheme,
        memory_report.accuracy,
        memory_report.chance,
        memory_report.ci_low > memory_report.chance
            and memory_report.accuracy >= 1.5 * memory_report.chance
            as is_above_chance,
    from memory_report
    semi join evidence_cells
        on memory_report.cell_key = evidence_cells.cell_key
        and memory_report.layer = evidence_cells.layer
    where memory_report.k = 1
        and memory_report.scheme in ('theta', 'pooled')
),

cell_memory as (
    select
        cell_key,
        count(*) = 2 and bool_and(is_above_chance) as is_above_chance,
        any_value(accuracy) filter (where scheme = 'theta') as theta_accuracy,
        any_value(accuracy) filter (where scheme = 'pooled')
            as pooled_accuracy,
        any_value(chance) as chance,
    from nearest_one
    group by cell_key
),

memory as (
    select
        count(*) as cells,
        count_if(is_above_chance) as passing,
        median(theta_accuracy) as theta_accuracy,
        median(pooled_accuracy) as pooled_accuracy,
        median(chance) as chance,
    from cell_memory
),

claim_4 as (
    select
        4 as claim,
        'A bare-bones memory-based classifier shows the bias' as statement,
        cells = 0 as is_untested,
        3 * passing >= 2 * cells as is_met,
        format(
            '1-NN beats chance by theta and by the pooled vector in {} of {} '
            || 'cells (median accuracy {} by theta, {} pooled, chance '
            || '{:.3f}).',
            passing,
            cells,
            coalesce(format('{:.3f}', theta_accuracy), 'undefined'),
            coalesce(format('{:.3f}', pooled_accuracy), 'undefined'),
            chance
        ) as evidence,
    from memory
),

tasks as (
    select
        task,
        bool_or(coalesce(ci_low > 0 and permutation_p < 0.05, false))
            as is_improved,
        max(difference_mean) as best_gain,
    from training_effect
    group by task
),

training as (
    select
        count(*) as tasks,
        count_if(is_improved) as improved,
        median(best_gain) as best_gain,
    from tasks
),

claim_5 as (
    select
        5 as claim,
        'Training with U(1) class labels improves classification in all '
            || 'tasks' as statement,
        tasks = 0 as is_untested,
        improved = tasks as is_met,
        format(
            'Some U(1) arm improves {} of {} tasks (median best gain {} in '
            || 'accuracy).',
            improved,
            tasks,
            coalesce(format('{:+.4f}', best_gain), 'undefined')
        ) as evidence,
    from training
),

all_claims as (
    select * from claim_1
    union all by name
    select * from claim_2
    union all by name
    select * from claim_3
    union all by name
    select * from claim_4
    union all by name
    select * from claim_5
),

judged as (
    select
        claim,
        statement,
        case
            when is_untested then 'not tested'
            when is_met then 'holds'
            else 'does not hold'
        end as verdict,
        case
            when is_untested and claim = 5
                then 'The lake holds no training runs.'
            when is_untested
                then 'The lake holds no original cell outside the phantoms.'
            else evidence
        end as evidence,
    from all_claims
)

select * from judged
order by claim
