-- Question: does the loss create the angular bias that the claims measure?
-- Grain: measure, arm, task, network (current experiments). The trained
--   networks were swept like pretrained ones: measures are theirs at the
--   bottleneck, query split, averaged over seeds; differences are paired by
--   seed, against the one-hot arm, with 95 % t-intervals
-- Reads: cells, class_bias, class_directions, memory_report, plane_agreement,
--   training_runs
-- Params: none
-- Columns: measure: what was measured, such as 'class bias, image', 'resultant
--   length, feature' or 'memory accuracy, theta'; seeds: seeds with the
--   measure; value_mean: mean of the measure over seeds; difference_mean: mean
--   difference from the one-hot arm over seeds of both, null for 'onehot'
--   itself; ci_low: lower end of the 95 % t-interval of difference_mean, null
--   below two pairs; ci_high: upper end of the 95 % t-interval of
--   difference_mean, null below two pairs
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
    from training_runs
    where is_current and is_chosen
),

trained_cells as (
    select
        cells.cell_key,
        cells.bottleneck as layer,
        runs.* exclude (model, weights_sha256),
    from cells
    inner join runs
        on cells.dataset = runs.task
        and cells.model = runs.model
        and cells.weights_sha256 = runs.weights_sha256
    where cells.is_current and cells.variant = 'original'
),

biases as (
    select
        cell_key,
        layer,
        concat('class bias, ', plane) as measure,
        effect_size as value,
    from class_bias
    where split = 'query'
),

lengths as (
    select
        cell_key,
        layer,
        concat('resultant length, ', plane) as measure,
        avg(resultant_length) as value,
    from class_directions
    where split = 'query'
    group by
        cell_key,
        layer,
        plane
),

agreements_of_planes as (
    select
        cell_key,
        layer,
        'agreement of the planes' as measure,
        agreement as value,
    from plane_agreement
    where split = 'query'
),

memories as (
    select
        cell_key,
        layer,
        concat('memory accuracy, ', scheme) as measure,
        accuracy as value,
    from memory_report
    where k = 1 and scheme in ('pooled', 'theta')
),

measures as (
    select * from biases
    union all by name
    select * from lengths
    union all by name
    select * from agreements_of_planes
    union all by name
    select * from memories
),

measured as (
    select
        trained_cells.* exclude (cell_key, layer),
        measures.measure,
        measures.value,
    from measures
    inner join trained_cells
        using (cell_key, layer)
),

baseline as (
    select
        experiment,
        seed,
        measure,
        value as onehot_value,
    from measured
    where arm = 'onehot'
),

paired as (
    select
        measured.*,
        case when measured.arm <> 'onehot'
            then measured.value - baseline.onehot_value
        end as difference,
    from measured
    left join baseline
        using (experiment, seed, measure)
),

arms as (
    select
        experiment,
        task,
        network,
        arm,
        u1_weight,
        measure,
        count(value) as seeds,
        avg(value) as value_mean,
        avg(difference) as difference_mean,
        mean_half_width(count(difference), stddev_samp(difference))
            as half_width,
    from paired
    group by
        experiment,
        task,
        network,
        arm,
        u1_weight,
        measure
),

bounded as (
    select
        * exclude (half_width),
        difference_mean - half_width as ci_low,
        difference_mean + half_width as ci_high,
    from arms
)

select * from bounded
