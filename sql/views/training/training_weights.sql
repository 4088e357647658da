-- Question: which weight of the loss on points does validation choose?
-- Grain: weight, arm, experiment. is_best: the highest mean validation accuracy
--   after the last epoch, of equal ones the smallest weight. The test set is
--   not looked at
-- Reads: lake.training_epochs
-- Params: none
-- Columns: seeds: seeds that have come to the last epoch of the experiment;
--   validation_accuracy: mean over seeds of the share of the held-out images
--   that are right after the last epoch; is_best: highest validation_accuracy
--   of its arm and experiment, of equal ones the smallest weight
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

weights as (
    select
        experiment,
        task,
        network,
        arm,
        u1_weight,
        count(*) as seeds,
        avg(validation_accuracy) as validation_accuracy,
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
        ) = 1 as is_best,
    from weights
)

select * from ranked
