-- Question: claim 5, does U(1) training improve classification in all tasks?
-- Grain: the claim (one row). It holds when in every task some arm's paired
--   gain has a 95 % interval above 0 and a permutation p < 0.05
-- Reads: training_effect
-- Params: none
with

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

claim as (
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
        null::varchar as caveat,
    from training
)

select * from claim
