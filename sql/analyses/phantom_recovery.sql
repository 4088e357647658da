-- Question: how far from its planted angle is each class of the phantom?
-- Grain: class, plane, layer, cell (current) at the bottleneck of the phantom
-- Reads: class_directions, layers
-- Params: $split ('memory' or 'query')
with

planted as (
    select *
    from (
        values
            ('east', 0),
            ('north-east', 45),
            ('north', 90),
            ('north-west', 135),
            ('west', 180),
            ('south-west', -135),
            ('south', -90),
            ('south-east', -45)
    ) as compass(class_name, planted_deg)
),

found as (
    select
        class_directions.model,
        class_directions.variant,
        class_directions.layer,
        class_directions.plane,
        class_directions.class_name,
        class_directions.n,
        class_directions.mean_direction_rad,
    from class_directions
    semi join layers
        on class_directions.cell_key = layers.cell_key
        and class_directions.layer = layers.layer
        and layers.is_bottleneck
    where class_directions.dataset = 'phantom'
        and class_directions.split = $split
),

errors as (
    select
        found.model,
        found.variant,
        found.layer,
        found.plane,
        found.class_name,
        found.n,
        planted.planted_deg,
        degrees(found.mean_direction_rad) as found_deg,
        degrees(
            angular_difference(
                found.mean_direction_rad,
                radians(planted.planted_deg)
            )
        ) as error_deg,
    from found
    inner join planted
        on found.class_name = planted.class_name
)

select * from errors
order by model, variant, plane desc, planted_deg
