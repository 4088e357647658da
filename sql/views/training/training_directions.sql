-- Question: does every class lie at the angle that was planned for it?
-- Grain: class, training run (current, chosen) whose arm learned points. The
--   measured direction is the circular mean of theta_hat over the class's test
--   images. For 'onehot+shuffled' the plan is the class's own angle, which its
--   images were not given; for 'onehot+plane' points have no planned angle
-- Reads: training_predictions, training_runs
-- Params: none
-- Columns: n: test images of the class [images]; recall: share of the class's
--   test images that are named right; measured_angle_rad: circular mean of
--   theta_hat over the class's test images, null where undefined [rad];
--   resultant_length: mean resultant length of theta_hat over the class's test
--   images; planned_angle_rad: angle planned for the class, null for
--   'onehot+plane' [rad]; deviation_rad: turn from planned_angle_rad to
--   measured_angle_rad [rad]
with

predictions as (
    select
        run_key,
        label,
        class_name,
        predicted_label,
        theta_rad,
    from training_predictions
),

runs as (
    select
        run_key,
        task,
        network,
        arm,
        seed,
        planned_angles_rad,
    from training_runs
    where is_current and is_chosen and planned_angles_rad is not null
),

classes as (
    select
        run_key,
        label,
        class_name,
        count(*) as n,
        avg((predicted_label = label)::integer) as recall,
        circular_mean(theta_rad) as measured_angle_rad,
        resultant_length(theta_rad) as resultant_length,
    from predictions
    group by
        run_key,
        label,
        class_name
),

planned as (
    select
        runs.* exclude (planned_angles_rad),
        classes.* exclude (run_key),
        case
            when runs.arm <> 'onehot+plane'
                then runs.planned_angles_rad[classes.label + 1]
        end as planned_angle_rad,
    from classes
    inner join runs
        using (run_key)
),

compared as (
    select
        *,
        angular_difference(measured_angle_rad, planned_angle_rad)
            as deviation_rad,
    from planned
)

select * from compared
