-- Question: how far from its planted angle is each class of the phantom?
-- Grain: class, plane, layer, cell (current) at the bottleneck of the phantom.
--   planted_deg has turned with the pictures of the variant. The blobs are
--   dark: the luminance of `pixels` leans the other way, 180 degrees off
-- Reads: class_directions, layers, variant_transforms
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

transforms as (
    select variant, if(mirror, -1, 1) as sense, turn_rad from variant_transforms
),

expected as (
    select
        found.*,
        wrap_angle(
            transforms.turn_rad
            + transforms.sense * radians(planted.planted_deg)
        ) as planted_rad,
    from found
    inner join planted
        using (class_name)
    inner join transforms
        using (variant)
),

errors as (
    select
        model,
        variant,
        layer,
        plane,
        class_name,
        n,
        round(degrees(planted_rad)) as planted_deg,
        degrees(mean_direction_rad) as found_deg,
        degrees(angular_difference(mean_direction_rad, planted_rad))
            as error_deg,
    from expected
)

select * from errors
order by model, variant, plane desc, planted_deg
