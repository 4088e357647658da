-- Question: claim 1, does information concentrate about the principal ray?
-- Grain: the claim (one row). It holds when in >= 2/3 of the evidence cells, at
--   the bottleneck and in the query split, the EE50 of the mean energy map is
--   below 0.95 sqrt(2 / pi) (uniform light: sqrt(2 / pi) = 0.798) and the
--   median polar angle is below half its bound arccos(1 / sqrt N). caveat: the
--   same medians at random weights, and the focus of the pictures themselves
-- Reads: sombrero, concentration_by_layer, cells
-- Params: none
-- Columns: claim: number of the paper's claim, 1 to 5; statement: the claim in
--   words; is_untested: the lake holds no evidence cell to judge the claim by;
--   is_met: the rule of this view is met, of no meaning where is_untested;
--   evidence: one sentence with the numbers that the rule judges; caveat: the
--   medians at random weights, and the focus of the pictures themselves, null
--   without either
with

networks as (
    select cell_key
    from cells
    where not is_repeated
        and not is_planted
),

maps as (
    select
        cell_key,
        model,
        variant,
        is_evidence,
        ee50_radius,
    from sombrero
    where is_bottleneck
        and split = 'query'
        and cell_key in (from networks)
),

openings as (
    select cell_key, polar_angle_share
    from concentration_by_layer
    where is_bottleneck
        and split = 'query'
),

measured as (
    select
        maps.*,
        openings.polar_angle_share,
    from maps
    inner join openings
        on maps.cell_key = openings.cell_key
),

evidence as (
    select
        count(*) as cells,
        count_if(
            ee50_radius < 0.95 * sqrt(2 / pi()) and polar_angle_share < 0.5
        ) as passing,
        median(ee50_radius) as ee50_radius,
        median(polar_angle_share) as polar_angle_share,
    from measured
    where is_evidence
),

controls as (
    select
        median(ee50_radius) filter (where variant = 'random-init')
            as random_ee50_radius,
        median(polar_angle_share) filter (where variant = 'random-init')
            as random_polar_angle_share,
        median(ee50_radius) filter (
            where model = 'pixels' and variant = 'original'
        ) as pixels_ee50_radius,
    from measured
),

claim as (
    select
        1 as claim,
        'Information concentrates about the principal ray: the image centre '
            || 'and the medial vector' as statement,
        evidence.cells = 0 as is_untested,
        3 * evidence.passing >= 2 * evidence.cells as is_met,
        format(
            'Light is focused and activations stay near the medial vector in '
            || '{} of {} cells (median EE50 {:.3f}, uniform light 0.798; '
            || 'median polar angle {:.2f} of its bound).',
            evidence.passing,
            evidence.cells,
            evidence.ee50_radius,
            evidence.polar_angle_share
        ) as evidence,
        nullif(
            concat_ws(
                ' ',
                format(
                    'Random weights give EE50 {:.3f} and a polar angle of '
                    || '{:.2f} of its bound.',
                    controls.random_ee50_radius,
                    controls.random_polar_angle_share
                ),
                format(
                    'The pictures alone give EE50 {:.3f}.',
                    controls.pixels_ee50_radius
                )
            ),
            ''
        ) as caveat,
    from evidence
    cross join controls
)

select * from claim
