-- Question: does a class lean the same way in every model of an image set?
-- Grain: class, split, plane, dataset. Each evidence cell has one vote, its
--   class direction at the bottleneck; Rayleigh test over the votes, null below
--   two. It is nearly powerless for few models: two that agree exactly give
--   p = 0.14, three 0.03. rayleigh_q is adjusted over every row of this view
-- Reads: class_directions, layers
-- Params: none
-- Columns: models: evidence cells whose bottleneck has a direction of the
--   class; mean_direction_rad: mean direction of the cells' class directions,
--   null where R < 1e-12 [rad]; resultant_length: mean resultant length R of
--   the cells' class directions; rayleigh_p: p of the Rayleigh test of the
--   cells' class directions, null below two
with

bottlenecks as (
    select cell_key, layer
    from layers
    where is_bottleneck
        and is_evidence
),

directions as (
    select
        class_directions.dataset,
        class_directions.plane,
        class_directions.split,
        class_directions.label,
        class_directions.class_name,
        class_directions.mean_direction_rad,
    from class_directions
    semi join bottlenecks
        on class_directions.cell_key = bottlenecks.cell_key
        and class_directions.layer = bottlenecks.layer
    where class_directions.mean_direction_rad is not null
),

votes as (
    select
        dataset,
        plane,
        split,
        label,
        class_name,
        count(*) as models,
        circular_mean(mean_direction_rad) as mean_direction_rad,
        resultant_length(mean_direction_rad) as resultant_length,
    from directions
    group by
        dataset,
        plane,
        split,
        label,
        class_name
),

tested as (
    select
        *,
        case
            when models >= 2
                then rayleigh_p(models, resultant_length)
        end as rayleigh_p,
    from votes
),

adjusted as (
    select * rename (q as rayleigh_q)
    from benjamini_hochberg(tested, rayleigh_p)
)

select * from adjusted
