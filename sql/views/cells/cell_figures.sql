-- Question: what does each cell come to in the figures that claims are judged
--   by?
-- Grain: figure, cell (current), at its bottleneck over the query split; no row
--   where the figure is not known. A figure of three classes or more; of two an
--   effect has no normal interval
-- Reads: cells, layers, records, class_bias, beyond_bank, planes, theta_bits,
--   sombrero_test
-- Params: none
-- Columns: figure: 'ln centre density' (logarithm of the mean map's
--   centre_density_ratio), 'gain', 'fall', 'turn', 'rise' and 'roundness' (1 -
--   shared_anisotropy) as in sombrero_test, 'effect, image' and 'effect,
--   feature' (effect_corrected), 'effect beyond bank' (of the residual
--   theta_image), 'agreement' and 'joint effect' (A and J with each class left
--   out), 'bits' (of theta_feature), 'beyond swapped' (1-NN accuracy by
--   theta_feature less the 95 % quantile over swapped frames); estimate: the
--   figure, null for a rise where no half has a trough inside, and beyond the
--   bank below ten memory images a term; se: its standard
--   error; dof: degrees of freedom of se, infinite where it is over images
with

current_cells as (
    select cell_key, dataset, model, variant, family, is_evidence
    from cells
    where is_current
),

bottlenecks as (
    select cell_key, layer
    from layers
    where is_bottleneck
),

images as (
    select
        records.cell_key,
        records.energy_total,
        records.centre_density_ratio,
    from records
    semi join bottlenecks
        on records.cell_key = bottlenecks.cell_key
        and records.layer = bottlenecks.layer
    where records.split = 'query'
        and records.energy_total > 0
),

densities as (
    select
        cell_key,
        count(*) as n,
        avg(energy_total) as mean_energy,
        sum(energy_total * centre_density_ratio) / sum(energy_total)
            as density,
        avg((energy_total * centre_density_ratio) ** 2) as square_centre,
        avg(energy_total ** 2 * centre_density_ratio) as product,
        avg(energy_total ** 2) as square_energy,
    from images
    group by cell_key
),

-- The delta method: of a ratio of means the images' parts E (c - R) scatter.
concentration as (
    select
        cell_key,
        'ln centre density' as figure,
        ln(nullif(density, 0)) as estimate,
        sqrt(
            greatest(
                0,
                square_centre
                - 2 * density * product
                + density ** 2 * square_energy
            ) / nullif(n - 1, 0)
        ) / (mean_energy * nullif(density, 0)) as se,
        n - 1.0::double as dof,
    from densities
),

shapes_by_cell as (
    select
        cell_key,
        layer,
        unnest([
            {
                figure: 'gain',
                estimate: r_squared_gain,
                se: r_squared_gain_se,
                dof: 19.0::double
            },
            { figure: 'fall', estimate: fall, se: fall_se, dof: 19.0 },
            { figure: 'turn', estimate: turn, se: turn_se, dof: 19.0 },
            {
                figure: 'roundness',
                estimate: 1 - shared_anisotropy,
                se: shared_anisotropy_se,
                dof: 19.0
            },
            {
                figure: 'rise',
                estimate: case when is_flat then 0.0 else rise end,
                se: case when is_flat then 0.0 else rise_se end,
                dof: 'infinity'::double
            },
        ], recursive := true),
        turn is not null as is_fitted,
    from sombrero_test
    where split = 'query'
),

effects as (
    select
        cell_key,
        layer,
        'effect, ' || plane as figure,
        effect_corrected as estimate,
        effect_se as se,
    from class_bias
    where split = 'query'
        and classes >= 3
),

residuals as (
    select
        cell_key,
        layer,
        'effect beyond bank' as figure,
        -- A fit to fewer images leaves noise that hides what is left.
        case when n_memory >= 10 * terms then effect_corrected end as estimate,
        effect_se as se,
    from beyond_bank
    where classes >= 3
        and effect_corrected is not null
),

frames_by_cell as (
    select
        cell_key,
        layer,
        frame,
        classes,
        agreement,
        agreement_se,
        joint_effect,
        joint_effect_se,
        n_query,
        accuracy,
        accuracy_high,
    from planes
),

left_out as (
    select
        cell_key,
        layer,
        unnest([
            {
                figure: 'agreement',
                estimate: agreement,
                se: agreement_se,
                dof: classes - 1.0::double
            },
            {
                figure: 'joint effect',
                estimate: joint_effect,
                se: joint_effect_se,
                dof: classes - 1.0
            },
        ], recursive := true),
    from frames_by_cell
    where frame = 'loco'
),

swapped as (
    select
        coupled.cell_key,
        coupled.layer,
        'beyond swapped' as figure,
        coupled.accuracy - swapped_frames.accuracy_high as estimate,
        -- Agresti & Coull 1998: two more of either answer, never 0.
        (coupled.accuracy * coupled.n_query + 2) / (coupled.n_query + 4)
            as share,
        sqrt(share * (1 - share) / (coupled.n_query + 4)) as se,
    from frames_by_cell as coupled
    inner join frames_by_cell as swapped_frames
        on coupled.cell_key = swapped_frames.cell_key
        and coupled.layer = swapped_frames.layer
        and coupled.frame = 'coupled'
        and swapped_frames.frame = 'swapped'
),

information as (
    select
        cell_key,
        layer,
        'bits' as figure,
        bits as estimate,
        bits_se as se,
    from theta_bits
    where plane = 'feature'
),

by_layer as (
    select *, 'infinity'::double as dof from effects
    union all by name
    select *, 'infinity'::double as dof from residuals
    union all by name
    select * exclude (share), 'infinity'::double as dof from swapped
    union all by name
    select *, 'infinity'::double as dof from information
    union all by name
    select * from left_out
    union all by name
    select * exclude (is_fitted)
    from shapes_by_cell
    where estimate is not null or (figure = 'rise' and is_fitted)
),

at_bottlenecks as (
    select by_layer.* exclude (layer)
    from by_layer
    semi join bottlenecks
        on by_layer.cell_key = bottlenecks.cell_key
        and by_layer.layer = bottlenecks.layer
    where by_layer.estimate is not null
        or by_layer.figure in ('rise', 'effect beyond bank')
    union all by name
    select *
    from concentration
    where estimate is not null
),

named as (
    select
        current_cells.cell_key,
        current_cells.dataset,
        current_cells.model,
        current_cells.variant,
        current_cells.family,
        current_cells.is_evidence,
        at_bottlenecks.figure,
        at_bottlenecks.estimate,
        at_bottlenecks.se,
        at_bottlenecks.dof,
    from at_bottlenecks
    inner join current_cells
        on at_bottlenecks.cell_key = current_cells.cell_key
)

select * from named
