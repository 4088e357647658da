-- Question: which weight of the loss on points does validation choose?
-- Grain: weight, arm, experiment. is_leading: the highest mean validation
--   accuracy after the last epoch, of equal ones the smallest weight. is_best:
--   the same, null while runs are under way: until each that came to the last
--   epoch is concluded. The test set is not looked at
-- Reads: lake.training_epochs, lake.training_runs
-- Params: none
-- Columns: seeds: seeds that have come to the last epoch of the experiment;
--   validation_accuracy: mean over seeds of the share of the held-out images
--   that are right after the last epoch; is_leading: highest
--   validation_accuracy of its arm and experiment so far, of equal ones the
--   smallest weight; is_best: is_leading once the experiment's runs are
--   concluded, null while some are under way
with

epochs as (
    select
        run_key,
        experiment,
        task,
        network,
        arm,
        u1_weight,
        epoch,
        validation_accuracy,
        max(epoch) over (partition by experiment) as last_epoch,
    from lake.training_epochs
),

concluded as (
    select run_key from lake.training_runs
),

weights as (
    select
        experiment,
        task,
        network,
        arm,
        u1_weight,
        count(*) as seeds,
        avg(validation_accuracy) as validation_accuracy,
        bool_and(run_key in (from concluded)) as is_concluded,
    from epochs
    where epoch = last_epoch
    group by
        experiment,
        task,
        network,
        arm,
        u1_weight
),

ranked as (
    select
        *,
        row_number() over (
            partition by experiment, arm
            order by
                validation_accuracy desc nulls last,
                u1_weight,
        ) = 1 as is_leading,
        bool_and(is_concluded) over (partition by experiment) as is_decided,
    from weights
),

decided as (
    select
        * exclude (is_concluded, is_decided),
        case when is_decided then is_leading end as is_best,
    from ranked
)

select * from decided
