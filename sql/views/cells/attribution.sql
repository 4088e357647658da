-- Question: how much of the light in the centre is the padding's, and how much
--   the photographer's?
-- Grain: layer (bottleneck), original cell (current) beside which there is a
--   corner of the 2 x 2 of padding (as built, circular) and placement (as
--   photographed, rolled on the torus), query split. A figure is ln of the
--   centre density ratio of the mean energy map, ln(sum E c / sum E) over
--   images; parts are Shapley's. Cells are paired image by image, over the
--   images that all of them have. Standard errors are linearised: the standard
--   deviation over images of the (sum of the) influences E c / mean(E c) - E /
--   mean(E), over sqrt(n). Batch norms are as stored with the padding as built
--   ('original', 'roll'), moved by what the padding moves with circular padding
-- Reads: layers, records
-- Params: none
-- Columns: n: images that all cells have [images]; focus: as built, as
--   photographed (original); focus_se: its standard error; focus_rolled: as
--   built, rolled (roll); focus_rolled_se: its standard error; focus_circular:
--   circular, as photographed (pad-circular); focus_circular_se: its standard
--   error; floor: circular, rolled (pad-circular+roll), where no place differs
--   from another: 0; floor_se: its standard error; padding_part: P, mean over
--   both placements of what circular padding takes off; padding_part_se: its
--   standard error; placement_part: G, mean over both paddings of what rolling
--   takes off; placement_part_se: its standard error; total: focus - floor = P
--   + G; total_se: its standard error; interaction: what circular padding takes
--   off as photographed, less what it takes off rolled; interaction_se: its
--   standard error; reestimation: what re-estimated batch norms alone add to
--   focus (reestimated - original); reestimation_se: its standard error;
--   is_broken: floor is off 0 by more than 0.05, with 95 % confidence: circular
--   padding is none here, or places differ by something else, and the parts say
--   nothing
with

corners as (
    select
        cell_key,
        dataset,
        model,
        layer,
        variant,
    from layers
    where is_bottleneck
        and variant in (
            'original', 'roll', 'pad-circular', 'pad-circular+roll',
            'reestimated'
        )
),

counted as (
    select
        *,
        count(*) over (partition by dataset, model) as cells,
    from corners
),

originals as (
    select *
    from counted
    where variant = 'original'
        and cells > 1
),

images as (
    select
        cell_key,
        layer,
        image_id,
        energy_total as energy,
        if(energy_total > 0, energy_total * centre_density_ratio, 0)
            as central,
    from records
    where split = 'query'
),

light as (
    select
        corners.dataset,
        corners.model,
        corners.variant,
        images.image_id,
        images.energy,
        images.central,
    from images
    inner join corners
        on images.cell_key = corners.cell_key
        and images.layer = corners.layer
),

shared as (
    select light.*
    from light
    inner join originals
        on light.dataset = originals.dataset
        and light.model = originals.model
    where light.energy < 'infinity'::double
        and light.central < 'infinity'::double
    qualify count(*) over (
        partition by light.dataset, light.model, light.image_id
    ) = originals.cells
),

measured as (
    select
        dataset,
        model,
        variant,
        image_id,
        nullif(avg(energy) over cell, 0) as mean_energy,
        nullif(avg(central) over cell, 0) as mean_central,
        ln(mean_central / mean_energy) as focus,
        central / mean_central - energy / mean_energy as influence,
    from shared
    window cell as (partition by dataset, model, variant)
),

pairs as (
    select
        dataset,
        model,
        image_id,
        max(focus) filter (where variant = 'original') as focus,
        max(focus) filter (where variant = 'roll') as focus_rolled,
        max(focus) filter (where variant = 'pad-circular') as focus_circular,
        max(focus) filter (where variant = 'pad-circular+roll') as floor,
        max(focus) filter (where variant = 'reestimated') as focus_reestimated,
        max(influence) filter (where variant = 'original') as i,
        max(influence) filter (where variant = 'roll') as i_rolled,
        max(influence) filter (where variant = 'pad-circular') as i_circular,
        max(influence) filter (where variant = 'pad-circular+roll') as i_floor,
        max(influence) filter (where variant = 'reestimated') as i_reestimated,
    from measured
    group by
        dataset,
        model,
        image_id
),

figures as (
    select
        dataset,
        model,
        count(*) as n,
        any_value(focus) as focus,
        stddev_samp(i) / sqrt(n) as focus_se,
        any_value(focus_rolled) as focus_rolled,
        stddev_samp(i_rolled) / sqrt(n) as focus_rolled_se,
        any_value(focus_circular) as focus_circular,
        stddev_samp(i_circular) / sqrt(n) as focus_circular_se,
        any_value(floor) as floor,
        stddev_samp(i_floor) / sqrt(n) as floor_se,
        any_value(focus_reestimated) as focus_reestimated,
        stddev_samp(i - i_circular + i_rolled - i_floor) / 2 / sqrt(n)
            as padding_part_se,
        stddev_samp(i - i_rolled + i_circular - i_floor) / 2 / sqrt(n)
            as placement_part_se,
        stddev_samp(i - i_floor) / sqrt(n) as total_se,
        stddev_samp(i - i_circular - i_rolled + i_floor) / sqrt(n)
            as interaction_se,
        stddev_samp(i_reestimated - i) / sqrt(n) as reestimation_se,
    from pairs
    group by
        dataset,
        model
),

parts as (
    select
        originals.cell_key,
        originals.dataset,
        originals.model,
        originals.layer,
        figures.n,
        figures.focus,
        figures.focus_se,
        figures.focus_rolled,
        figures.focus_rolled_se,
        figures.focus_circular,
        figures.focus_circular_se,
        figures.floor,
        figures.floor_se,
        (focus - focus_circular + focus_rolled - floor) / 2 as padding_part,
        figures.padding_part_se,
        (focus - focus_rolled + focus_circular - floor) / 2 as placement_part,
        figures.placement_part_se,
        focus - floor as total,
        figures.total_se,
        focus - focus_circular - focus_rolled + floor as interaction,
        figures.interaction_se,
        focus_reestimated - focus as reestimation,
        figures.reestimation_se,
        abs(floor) - 1.6448536269515 * figures.floor_se > 0.05 as is_broken,
    from originals
    inner join figures
        on originals.dataset = figures.dataset
        and originals.model = figures.model
)

select * from parts
