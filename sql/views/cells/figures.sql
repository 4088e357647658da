-- Question: what does each cell say in short, to be compared from sweep to
--   sweep?
-- Grain: class, plane, cell (current), at the bottleneck over the query split;
--   and one row a cell with plane and label null: accuracy of the nearest
--   neighbour by scheme 'pooled'
-- Reads: layers, class_directions, memory_report
-- Params: none
-- Columns: plane: 'image' or 'feature', null for the memory's accuracy; label:
--   class index, null for the memory's accuracy; class_name: class name, null
--   for the memory's accuracy; n: query images, for classes those with an angle
--   [images]; accuracy: 1-NN accuracy of the memory, scheme 'pooled', null for
--   classes
with

bottlenecks as (
    select cell_key, layer
    from layers
    where is_bottleneck
),

classes as (
    select
        class_directions.cell_key,
        class_directions.dataset,
        class_directions.model,
        class_directions.variant,
        class_directions.plane,
        class_directions.label,
        class_directions.class_name,
        class_directions.n,
        class_directions.mean_direction_rad,
        class_directions.resultant_length,
    from class_directions
    semi join bottlenecks
        on class_directions.cell_key = bottlenecks.cell_key
        and class_directions.layer = bottlenecks.layer
    where class_directions.split = 'query'
),

memories as (
    select
        memory_report.cell_key,
        memory_report.dataset,
        memory_report.model,
        memory_report.variant,
        memory_report.n_query as n,
        memory_report.accuracy,
    from memory_report
    semi join bottlenecks
        on memory_report.cell_key = bottlenecks.cell_key
        and memory_report.layer = bottlenecks.layer
    where memory_report.scheme = 'pooled'
        and memory_report.k = 1
)

select * from classes
union all by name
select * from memories
