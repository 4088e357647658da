-- Question: does a class lean the same way in every model of an image set?
-- Grain: class, plane, dataset; variant 'original', bottleneck layer. direction
--   and concentration are those of the models' mean directions, each model one
--   vote
-- Reads: class_directions, layers
-- Params: $split ('memory' or 'query')
with

bottlenecks as (
    select cell_key, layer
    from layers
    where is_bottleneck
),

directions as (
    select
        class_directions.dataset,
        class_directions.plane,
        class_directions.split,
        class_directions.label,
        class_directions.class_name,
        class_directions.mean_direction_rad,
        class_directions.resultant_length,
    from class_directions
    semi join bottlenecks
        on class_directions.cell_key = bottlenecks.cell_key
        and class_directions.layer = bottlenecks.layer
    where class_directions.variant = 'original'
        and class_directions.split = $split
        and class_directions.mean_direction_rad is not null
),

across_models as (
    select
        dataset,
        plane,
        split,
        label,
        class_name,
        count(*) as models,
        circular_mean(mean_direction_rad) as direction_rad,
        resultant_length(mean_direction_rad) as concentration,
        avg(resultant_length) as resultant_length,
    from directions
    group by
        dataset,
        plane,
        split,
        label,
        class_name
)

select * from across_models
order by dataset, plane, label
