-- Question: how does an arm learn, over its seeds?
-- Grain: epoch, arm, task, network (current experiments, weights that were
--   chosen). Means over seeds; the half width is of the 95 % t-interval of the
--   mean validation accuracy, null for one seed
-- Reads: training_epochs, training_runs
-- Params: none
-- Columns: seeds: seeds averaged; loss_onehot: mean over seeds of the epoch's
--   mean cross-entropy, null for 'u1' [nat]; loss_point: mean over seeds of the
--   epoch's mean loss on points, before its weight, null for 'onehot';
--   train_accuracy: mean over seeds of the share of the epoch's training
--   images, augmented, that were right; validation_accuracy: mean over seeds of
--   the share of the held-out images that are right after the epoch;
--   validation_half_width: half width of the 95 % t-interval of
--   validation_accuracy, null for one seed
with

epochs as (
    select
        run_key,
        epoch,
        loss_onehot,
        loss_point,
        train_accuracy,
        validation_accuracy,
    from training_epochs
),

runs as (
    select
        run_key,
        experiment,
        task,
        network,
        arm,
        u1_weight,
    from training_runs
    where is_current and is_chosen
),

curves as (
    select
        runs.experiment,
        runs.task,
        runs.network,
        runs.arm,
        runs.u1_weight,
        epochs.epoch,
        count(*) as seeds,
        avg(epochs.loss_onehot) as loss_onehot,
        avg(epochs.loss_point) as loss_point,
        avg(epochs.train_accuracy) as train_accuracy,
        avg(epochs.validation_accuracy) as validation_accuracy,
        mean_half_width(
            count(epochs.validation_accuracy),
            stddev_samp(epochs.validation_accuracy)
        ) as validation_half_width,
    from epochs
    inner join runs
        using (run_key)
    group by
        runs.experiment,
        runs.task,
        runs.network,
        runs.arm,
        runs.u1_weight,
        epochs.epoch
)

select * from curves
