-- Question: has every training run all its epochs, and all its answers?
-- Grain: training run; healthy: no row. Its angles lie in (-pi, pi], and all
--   tested runs of a task and experiment answered about the same images
-- Reads: training_runs, training_epochs, training_predictions
-- Params: none
with

runs as (
    select
        run_key,
        experiment,
        epochs,
        is_tested,
        images_test,
        len(
            list_filter(
                planned_angles_rad,
                lambda angle: not (angle > -pi() and angle <= pi())
            )
        ) as planned_outside,
    from training_runs
),

epochs_of_run as (
    select
        run_key,
        count(*) as epochs_seen,
        count(distinct epoch) as distinct_epochs,
        max(epoch) as last_epoch,
    from training_epochs
    group by run_key
),

answers_of_run as (
    select
        run_key,
        count(*) as images,
        count(distinct image_id) as distinct_images,
        sum(hash(image_id, label)) as identity,
        count_if(not (theta_rad > -pi() and theta_rad <= pi()))
            as angles_outside,
    from training_predictions
    group by run_key
),

counted as (
    select
        runs.*,
        epochs_of_run.* exclude (run_key),
        answers_of_run.* exclude (run_key),
        count(distinct answers_of_run.identity)
            over (partition by runs.experiment) as image_sets,
    from runs
    left join epochs_of_run
        using (run_key)
    left join answers_of_run
        using (run_key)
),

incomplete as (
    select
        run_key,
        epochs,
        epochs_seen,
        images_test,
        images,
    from counted
    where epochs_seen is distinct from epochs
        or distinct_epochs is distinct from epochs
        or last_epoch is distinct from epochs
        or (is_tested and images is distinct from images_test)
        or (not is_tested and images is not null)
        or distinct_images is distinct from images
        or image_sets > 1
        or planned_outside > 0
        or angles_outside > 0
)

select * from incomplete
order by run_key
