-- Question: claim 5, does U(1) training improve classification in all tasks?
-- Grain: the claim (one row). It holds when in every task and network the
--   combined loss (onehot+u1) has a mean paired gain with a 95 % interval above
--   0 and a one-sided permutation p < 0.05. A task where either can't be, or
--   whose seeds are fewer than half a point needs, is told as underpowered
-- Reads: training_effect
-- Params: none
-- Columns: claim: number of the paper's claim, 1 to 5; statement: the claim in
--   words; is_untested: the lake holds no current pair of the arms 'onehot+u1'
--   and 'onehot'; is_met: the rule of this view is met, of no meaning where
--   is_untested; evidence: one sentence with the numbers that the rule judges;
--   caveat: median gains of the other arms, null where none was trained
with

effects as (
    select
        task,
        network,
        arm,
        pairs,
        difference_mean,
        seeds_needed,
        coalesce(ci_low > 0 and permutation_p < 0.05, false) as is_improved,
        coalesce(ci_high < 0, false) as is_worse,
        coalesce(pairs < greatest(seeds_needed, 5), true) as is_underpowered,
    from training_effect
),

trained as (
    select
        count(*) as tasks,
        count_if(is_improved) as improved,
        count_if(is_worse) as worse,
        count_if(is_underpowered and not is_improved and not is_worse)
            as underpowered,
        median(difference_mean) as gain,
        max(seeds_needed) as seeds_needed,
    from effects
    where arm = 'onehot+u1' and pairs > 0
),

controls as (
    select
        string_agg(
            format('{} {:+.2f}', arm, 100 * gain),
            ', '
            order by arm
        ) as gains,
    from (
        select arm, median(difference_mean) as gain
        from effects
        where arm not in ('onehot', 'onehot+u1') and pairs > 0
        group by arm
    ) as gain_of_arm
),

claim as (
    select
        5 as claim,
        'Training with U(1) class labels improves classification in all '
            || 'tasks' as statement,
        trained.tasks = 0 as is_untested,
        trained.improved = trained.tasks as is_met,
        format(
            'The combined loss improves accuracy in {} of {} tasks and lowers '
            || 'it in {} (median gain {} points); {} with too few seeds to '
            || 'see half a point{}.',
            trained.improved,
            trained.tasks,
            trained.worse,
            coalesce(format('{:+.2f}', 100 * trained.gain), 'undefined'),
            trained.underpowered,
            coalesce(
                format(
                    ' (up to {} needed)',
                    case when trained.underpowered > 0
                        then trained.seeds_needed
                    end
                ),
                ''
            )
        ) as evidence,
        'Median gains of the other arms, in points: ' || controls.gains || '.'
            as caveat,
    from trained
    cross join controls
)

select * from claim
