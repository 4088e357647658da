-- Question: claim 4, does a memory without training show the bias?
-- Grain: the claim (one row). It holds when in >= 2/3 of the evidence cells
--   1-NN accuracy by theta and by the pooled vector both have a Wilson 95 %
--   interval above chance and reach 1.5 x chance. caveat: the accuracy at
--   random weights, and where in the image plane the memory's knowledge ends
-- Reads: layers, memory_report, location_report
-- Params: none
-- Columns: claim: number of the paper's claim, 1 to 5; statement: the claim in
--   words; is_untested: the lake holds no evidence cell to judge the claim by;
--   is_met: the rule of this view is met, of no meaning where is_untested;
--   evidence: one sentence with the numbers that the rule judges; caveat:
--   accuracy at random weights, by place, and where it is half gone, null
--   without any of these
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

nearest_one as (
    select
        memory_report.cell_key,
        bottlenecks.is_random,
        memory_report.scheme,
        memory_report.accuracy,
        memory_report.chance,
        memory_report.ci_low > memory_report.chance
            and memory_report.accuracy >= 1.5 * memory_report.chance
            as is_above_chance,
    from memory_report
    inner join bottlenecks
        on memory_report.cell_key = bottlenecks.cell_key
        and memory_report.layer = bottlenecks.layer
    where memory_report.k = 1
        and memory_report.scheme in ('theta', 'pooled')
),

cell_memory as (
    select
        cell_key,
        is_random,
        count(*) = 2
            and bool_and(coalesce(is_above_chance, false)) as is_above_chance,
        any_value(accuracy) filter (where scheme = 'theta') as theta_accuracy,
        any_value(accuracy) filter (where scheme = 'pooled')
            as pooled_accuracy,
        any_value(chance) as chance,
    from nearest_one
    group by
        cell_key,
        is_random
),

evidence as (
    select
        count(*) as cells,
        count_if(is_above_chance) as passing,
        median(theta_accuracy) as theta_accuracy,
        median(pooled_accuracy) as pooled_accuracy,
        median(chance) as chance,
    from cell_memory
    where not is_random
),

random_weights as (
    select
        median(theta_accuracy) as theta_accuracy,
        median(pooled_accuracy) as pooled_accuracy,
    from cell_memory
    where is_random
),

places as (
    select
        median(centre_accuracy) as centre_accuracy,
        median(corner_accuracy) as corner_accuracy,
        median(pooled_accuracy) as pooled_accuracy,
        median(full_accuracy) as full_accuracy,
        median(half_radius) as half_radius,
        median(ee50_radius) as ee50_radius,
    from location_report
    where is_evidence
),

claim as (
    select
        4 as claim,
        'A bare-bones memory-based classifier shows the bias' as statement,
        evidence.cells = 0 as is_untested,
        3 * evidence.passing >= 2 * evidence.cells as is_met,
        format(
            '1-NN beats chance by theta and by the pooled vector in {} of {} '
            || 'cells (median accuracy {} by theta, {} pooled, chance '
            || '{:.3f}).',
            evidence.passing,
            evidence.cells,
            coalesce(format('{:.3f}', evidence.theta_accuracy), 'undefined'),
            coalesce(format('{:.3f}', evidence.pooled_accuracy), 'undefined'),
            evidence.chance
        ) as evidence,
        nullif(
            concat_ws(
                ' ',
                format(
                    'Random weights give {:.3f} by theta and {:.3f} pooled.',
                    random_weights.theta_accuracy,
                    random_weights.pooled_accuracy
                ),
                format(
                    'By place (a smaller memory) the centre gives {:.3f}, the '
                    || 'corners {:.3f}, the whole map {:.3f}, pooled {:.3f}.',
                    places.centre_accuracy,
                    places.corner_accuracy,
                    places.full_accuracy,
                    places.pooled_accuracy
                ),
                format(
                    'Knowledge is half gone at radius {:.2f}, half of the '
                    || 'energy lies within {:.2f}.',
                    places.half_radius,
                    places.ee50_radius
                )
            ),
            ''
        ) as caveat,
    from evidence
    cross join random_weights
    cross join places
)

select * from claim
