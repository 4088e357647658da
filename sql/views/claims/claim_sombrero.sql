-- Question: claim 2, is the bottleneck's energy a Sombrero about the origin?
-- Grain: the claim (one row). It holds when in >= 2/3 of the evidence cells, at
--   the bottleneck and in the query split, the Sombrero fit has R^2 >= 0.9, the
--   mean energy map has an anisotropy <= 0.25, and its energy falls from the
--   centre (hat or dome). caveat: how many shapes are certain beyond their
--   standard errors, and the same fit at random weights
-- Reads: sombrero, cells
-- Params: none
-- Columns: claim: number of the paper's claim, 1 to 5; statement: the claim in
--   words; is_untested: the lake holds no evidence cell to judge the claim by;
--   is_met: the rule of this view is met, of no meaning where is_untested;
--   evidence: one sentence with the numbers that the rule judges; caveat: how
--   many shapes are certain, where the trough lies, and the fit at random
--   weights, null without any of these
with

networks as (
    select cell_key
    from cells
    where not is_repeated
        and not is_planted
),

maps as (
    select
        variant,
        is_evidence,
        anisotropy,
        r_squared,
        trough_radius,
        trough_radius_se,
        shape,
        shape_is_certain,
    from sombrero
    where is_bottleneck
        and split = 'query'
        and cell_key in (from networks)
),

evidence as (
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
        count(shape_is_certain) as cells_with_errors,
        count_if(shape_is_certain) as certain,
        median(trough_radius) as trough_radius,
        median(trough_radius_se) as trough_radius_se,
    from maps
    where is_evidence
),

random_weights as (
    select
        median(r_squared) as r_squared,
        median(anisotropy) as anisotropy,
        count_if(shape = 'hat') as hats,
        count_if(shape = 'dome') as domes,
        count_if(shape = 'bowl') as bowls,
    from maps
    where variant = 'random-init'
),

claim as (
    select
        2 as claim,
        'Bottleneck energy is concentrated and symmetric about the origin, '
            || 'a Sombrero potential' as statement,
        evidence.cells = 0 as is_untested,
        3 * evidence.passing >= 2 * evidence.cells as is_met,
        format(
            'The mean energy falls from the centre as a round Sombrero in {} '
            || 'of {} cells (median R^2 {:.3f}, anisotropy {:.3f}; {} hats '
            || 'with the trough inside the image, {} domes, {} bowls).',
            evidence.passing,
            evidence.cells,
            evidence.r_squared,
            evidence.anisotropy,
            evidence.hats,
            evidence.domes,
            evidence.bowls
        ) as evidence,
        nullif(
            concat_ws(
                ' ',
                case
                    when evidence.cells_with_errors > 0
                        then format(
                            'The shape is certain in {} of {} cells.',
                            evidence.certain,
                            evidence.cells_with_errors
                        )
                end,
                format(
                    'The trough lies at {:.3f} with standard error {:.3f}.',
                    evidence.trough_radius,
                    evidence.trough_radius_se
                ),
                format(
                    'Random weights give R^2 {:.3f}, anisotropy {:.3f}, {} '
                    || 'hats, {} domes, {} bowls.',
                    random_weights.r_squared,
                    random_weights.anisotropy,
                    random_weights.hats,
                    random_weights.domes,
                    random_weights.bowls
                )
            ),
            ''
        ) as caveat,
    from evidence
    cross join random_weights
)

select * from claim
