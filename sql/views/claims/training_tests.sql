-- Question: what does each rule of claim 5 say of each task and network?
-- Grain: test, current experiment. Gains in test accuracy of the combined loss
--   (onehot+u1), paired by seed: over the one-hot arm, and over each control
--   arm. Errors are over seeds and over test images: all seeds were asked about
--   the same pictures. Below ten pairs, or 5,000 query images, nothing is told;
--   where several tasks could each refute the claim one does at 0.001 instead
--   of 0.05
-- Reads: training_runs, training_predictions
-- Params: none
-- Columns: claim: 5; question: 'seen' (is it there?) or 'beyond controls' (is
--   it more than its cheapest explanation gives?); test: what is asked, in
--   words; cell_key: the experiment; dataset: the task; model: the network;
--   estimate: mean gain over pairs; low: its one-sided 95 % lower bound; high:
--   its upper bound, of 99.9 % where there are several tasks; state: 'holds',
--   'refuted', 'inconclusive' or 'not tested'; lacks: the arm that the test
--   needs and the lake has not; pairs: seeds of both arms; images: of the test
--   set; family: null: experiments are no witnesses of families; bar: the
--   smallest effect of interest; margin: estimate less bar
with

rules as (
    select
        5::bigint as claim,
        *,
    from (
        values
            ('seen', 'better than one-hot labels', 'onehot', 0.0),
            (
                'beyond controls', 'by half a point or more', 'onehot', 0.005
            ),
            (
                'beyond controls', 'better than another image''s label',
                'onehot+shuffled', 0.0
            ),
            (
                'beyond controls', 'better than points off the circle',
                'onehot+plane', 0.0
            ),
            (
                'beyond controls', 'better than label smoothing',
                'onehot+smoothing', 0.0
            )
    ) as listed(question, test, arm, bar)
),

runs as (
    select
        run_key,
        experiment,
        task,
        network,
        arm,
        seed,
        test_accuracy,
        images_test,
    from training_runs
    where is_current
        and is_chosen
    -- Several weights of an arm: none is chosen yet.
    qualify min(u1_weight) over (partition by experiment, arm)
        is not distinct from max(u1_weight) over (partition by experiment, arm)
),

experiments as (
    select distinct experiment, task, network from runs
),

combined as (
    select *
    from runs
    where arm = 'onehot+u1'
),

asked as (
    select
        rules.*,
        experiments.experiment,
        experiments.task,
        experiments.network,
        combined.images_test,
        combined.test_accuracy - rivals.test_accuracy as gain,
    from experiments
    cross join rules
    left join combined
        on experiments.experiment = combined.experiment
    left join runs as rivals
        on combined.experiment = rivals.experiment
        and combined.seed = rivals.seed
        and rules.arm = rivals.arm
),

-- How sure each image's answer is to go one way: the mean over seeds.
answers as (
    select
        runs.experiment,
        runs.arm,
        training_predictions.image_id,
        avg(
            (
                training_predictions.predicted_label
                = training_predictions.label
            )::integer
        ) as right_share,
    from training_predictions
    inner join runs
        on training_predictions.run_key = runs.run_key
    group by
        runs.experiment,
        runs.arm,
        training_predictions.image_id
),

image_errors as (
    select
        combined_answers.experiment,
        rival_answers.arm,
        var_samp(combined_answers.right_share - rival_answers.right_share)
        / count(*) as square,
    from answers as combined_answers
    inner join answers as rival_answers
        on combined_answers.experiment = rival_answers.experiment
        and combined_answers.image_id = rival_answers.image_id
    where combined_answers.arm = 'onehot+u1'
    group by
        combined_answers.experiment,
        rival_answers.arm
),

gains as (
    select
        claim,
        question,
        test,
        arm,
        bar,
        experiment,
        task,
        network,
        count(gain) as pairs,
        min(images_test) as images,
        avg(gain) as estimate,
        var_samp(gain) / count(gain) as seed_square,
        count(*) over (partition by test) as tasks,
    from asked
    group by
        claim,
        question,
        test,
        arm,
        bar,
        experiment,
        task,
        network
),

erring as (
    select
        gains.*,
        sqrt(gains.seed_square + coalesce(image_errors.square, 0)) as se,
    from gains
    left join image_errors
        on gains.experiment = image_errors.experiment
        and gains.arm = image_errors.arm
),

bounded as (
    select
        *,
        estimate - t_quantile_95(pairs - 1) * se as low,
        estimate
        + case
            when tasks = 1 then t_quantile_95(pairs - 1)
            else t_expansion(3.0902323061678, pairs - 1)
        end * se as high,
        pairs >= 10 and coalesce(images >= 5000, false) as is_powered,
    from erring
),

judged as (
    select
        claim,
        question,
        test,
        task as dataset,
        network as model,
        experiment as cell_key,
        null::varchar as family,
        bar,
        estimate,
        low,
        high,
        estimate - bar as margin,
        case
            when pairs = 0 then 'not tested'
            when not is_powered then 'inconclusive'
            when low > bar then 'holds'
            when high < bar then 'refuted'
            else 'inconclusive'
        end as state,
        case when pairs = 0 then arm end as lacks,
        pairs,
        images,
    from bounded
)

select * from judged
