-- Question: at which angle does every class of a task lie in trained networks?
-- Grain: class. The circular mean over networks (evidence, and none trained
--   here) of the class's mean direction in the image plane at the bottleneck,
--   memory split; the test set is not looked at
-- Reads: cells, class_directions
-- Params: $task, the dataset's id
with

evidence as (
    select
        cell_key,
        dataset,
        bottleneck as layer,
    from cells
    where is_current and is_evidence and not is_from_training
),

directions as (
    select
        cell_key,
        layer,
        label,
        mean_direction_rad,
    from class_directions
    where plane = 'image' and split = 'memory'
),

angles as (
    select
        directions.label,
        count(*) as networks,
        circular_mean(directions.mean_direction_rad) as angle_rad,
    from directions
    inner join evidence
        using (cell_key, layer)
    where evidence.dataset = $task
    group by directions.label
)

select * from angles
order by label
