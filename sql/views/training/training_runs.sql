-- Question: which networks were trained, how, and how good are they?
-- Grain: training run. is_current: of its task and network this experiment was
--   asked for last. is_chosen: tested, with the weight that validation chooses
--   (training_weights), or chose before more runs got under way. Accuracies are
--   shares of the test set: by the one-hot head ('u1': by nearest angle), and
--   by nearest planned angle
-- Reads: lake.training_runs, lake.training_predictions, training_weights
-- Params: none
-- Columns: test_accuracy: share of the test images that are right, by the
--   one-hot head or for 'u1' by the nearest planned angle, null if untested;
--   angle_accuracy: share of the test images whose nearest planned angle is
--   that of their class, null where no angles were learned, or if untested;
--   is_current: of its task and network the experiment that was asked for last;
--   is_chosen: tested, with the weight that validation chooses for its arm
with

runs as (
    select
        run_key,
        experiment,
        task,
        network,
        arm,
        u1_weight,
        seed,
        model,
        weights_sha256,
        is_tested,
        site,
        angles,
        planned_angles_rad,
        class_names,
        recipe,
        epochs,
        parameters,
        images_train,
        images_validation,
        images_test,
        precision,
        device,
        seconds,
        u1sweep_version,
        torch_version,
        committed_at,
        selected_at,
    from lake.training_runs
),

predictions as (
    select
        run_key,
        label,
        predicted_label,
        nearest_label,
    from lake.training_predictions
),

best_weights as (
    select experiment, arm, u1_weight
    from training_weights
    where is_best is distinct from false
),

scores as (
    select
        run_key,
        avg((predicted_label = label)::integer) as test_accuracy,
        avg((nearest_label = label)::integer) as angle_accuracy,
    from predictions
    group by run_key
),

latest as (
    select
        task,
        network,
        arg_max(experiment, (selected_at, experiment)) as experiment,
    from runs
    group by
        task,
        network
),

described as (
    select
        runs.*,
        scores.test_accuracy,
        scores.angle_accuracy,
        latest.experiment is not null as is_current,
        runs.is_tested and best_weights.experiment is not null as is_chosen,
    from runs
    left join scores
        using (run_key)
    left join latest
        using (task, network, experiment)
    left join best_weights
        using (experiment, arm, u1_weight)
)

select * from described
