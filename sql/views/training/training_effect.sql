-- Question: does training with U(1) class labels improve classification?
-- Grain: arm, task, network (current experiments). Differences in test
--   accuracy are paired by seed, against the one-hot arm, which has none
--   itself; ci_low and ci_high bound their mean by Student's t at 95 %.
--   permutation_p flips signs, exactly up to 15 seeds, towards a gain: with n
--   seeds it is never below 2^-n. seeds_needed: to see half a point with 80 %
--   power, from the differences' own deviation
-- Reads: training_runs
-- Params: none
-- Columns: seeds: seeds tested; accuracy_mean: mean test accuracy over seeds;
--   accuracy_sd: sample standard deviation of the test accuracy over seeds,
--   null for one; pairs: seeds tested in the one-hot arm too, 0 for 'onehot'
--   itself; difference_mean: mean over pairs of the gain in test accuracy over
--   the one-hot arm, null without pairs; difference_sd: sample standard
--   deviation of the gain over pairs, null for one; ci_low: lower end of the 95
--   % t-interval of difference_mean, null below two pairs; ci_high: upper end
--   of the 95 % t-interval of difference_mean, null below two pairs;
--   sign_flips: ways of flipping signs that permutation_p counts, null without
--   pairs; smallest_p: the smallest permutation_p that they allow, null without
--   pairs; permutation_p: one-sided sign-flip permutation p of a gain (Fisher),
--   exact up to 15 pairs, null without pairs; seeds_needed: pairs that a
--   two-sided t-test at 5 % needs to see half a point with 80 % power
--   (Guenther), null below two pairs
with

runs as (
    select
        experiment,
        task,
        network,
        arm,
        u1_weight,
        seed,
        test_accuracy,
    from training_runs
    where is_current and is_chosen
),

baseline as (
    select
        experiment,
        seed,
        test_accuracy as onehot_accuracy,
    from runs
    where arm = 'onehot'
),

paired as (
    select
        runs.*,
        case when runs.arm <> 'onehot'
            then runs.test_accuracy - baseline.onehot_accuracy
        end as difference,
    from runs
    left join baseline
        using (experiment, seed)
),

arms as (
    select
        experiment,
        task,
        network,
        arm,
        u1_weight,
        count(*) as seeds,
        avg(test_accuracy) as accuracy_mean,
        stddev_samp(test_accuracy) as accuracy_sd,
        count(difference) as pairs,
        avg(difference) as difference_mean,
        stddev_samp(difference) as difference_sd,
        list(difference order by seed) filter (difference is not null)
            as differences,
    from paired
    group by
        experiment,
        task,
        network,
        arm,
        u1_weight
),

effects as (
    select
        * exclude (differences),
        difference_mean - mean_half_width(pairs, difference_sd) as ci_low,
        difference_mean + mean_half_width(pairs, difference_sd) as ci_high,
        flip_count(len(differences)) as sign_flips,
        smallest_p(sign_flips, 2.0 ** len(differences)) as smallest_p,
        sign_flip_p(differences) as permutation_p,
        pairs_needed(difference_sd, 0.005) as seeds_needed,
    from arms
)

select * from effects
