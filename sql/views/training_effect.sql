-- Question: does training with U(1) class labels improve classification?
-- Grain: task, arm; empty: no table of the lake holds training runs, so the
--   columns are declared and no row is shown. Differences are paired by seed,
--   against the one-hot arm, which has no difference itself
-- Reads: nothing
-- Params: none
with

arms as (
    select
        null::varchar as task,
        null::varchar as arm,
        null::bigint as seeds,
        null::double as accuracy_mean,
        null::double as difference_mean,
        null::double as ci_low,
        null::double as ci_high,
        null::double as permutation_p,
    where false
)

select * from arms
