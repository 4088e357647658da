-- Question: which sets of class directions are worth comparing, class by class?
-- Grain: kind, side a (cell_key, layer, plane), side b, split; current cells.
--   kind 'planes': image against feature plane of one layer; 'models': two
--   bottlenecks of a dataset in one plane, a before b in the alphabet, both of
--   one variant, or originals against random-init, a network of two ids by the
--   first alone (layers.is_repeated); 'pixels': a bottleneck
--   (original, random-init) against the image plane of the pictures themselves.
--   Classes need a direction on both sides
-- Reads: class_directions, layers
-- Params: none
-- Columns: kind: 'planes', 'models' or 'pixels': what is compared; cell_key_a:
--   cell of side a; layer_a: layer of side a; plane_a: plane of side a, 'image'
--   or 'feature'; cell_key_b: cell of side b; layer_b: layer of side b;
--   plane_b: plane of side b, 'image' or 'feature'; classes: classes with a
--   direction on both sides; unit_a: unit vectors of side a's class directions,
--   cosines by label, then sines; unit_b: unit vectors of side b's class
--   directions, cosines by label, then sines
with

directions as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        plane,
        split,
        label,
        mean_direction_rad as direction_rad,
    from class_directions
    where mean_direction_rad is not null
),

bottlenecks as (
    select cell_key, layer
    from layers
    where is_bottleneck
),

bottleneck_directions as (
    select directions.*
    from directions
    semi join bottlenecks
        on directions.cell_key = bottlenecks.cell_key
        and directions.layer = bottlenecks.layer
),

repeated as (
    select distinct cell_key
    from layers
    where is_repeated
),

networks as (
    select bottleneck_directions.*
    from bottleneck_directions
    anti join repeated
        on bottleneck_directions.cell_key = repeated.cell_key
),

pictures as (
    select *
    from bottleneck_directions
    where model = 'pixels'
        and variant = 'original'
        and plane = 'image'
),

planes as (
    select
        'planes' as kind,
        a,
        b,
    from directions as a
    inner join directions as b
        on a.cell_key = b.cell_key
        and a.layer = b.layer
        and a.split = b.split
        and a.label = b.label
        and a.plane = 'image'
        and b.plane = 'feature'
),

models as (
    select
        'models' as kind,
        a,
        b,
    from networks as a
    inner join networks as b
        on a.dataset = b.dataset
        and a.plane = b.plane
        and a.split = b.split
        and a.label = b.label
        and (a.model, a.variant) < (b.model, b.variant)
        and (
            a.variant = b.variant
            or (
                a.variant in ('original', 'random-init')
                and b.variant in ('original', 'random-init')
            )
        )
),

pixels as (
    select
        'pixels' as kind,
        a,
        pictures as b,
    from bottleneck_directions as a
    inner join pictures
        on a.dataset = pictures.dataset
        and a.split = pictures.split
        and a.label = pictures.label
        and a.model <> 'pixels'
        and a.variant in ('original', 'random-init')
),

matched as (
    select * from planes
    union all by name
    select * from models
    union all by name
    select * from pixels
),

pairs as (
    select
        kind,
        a.cell_key as cell_key_a,
        a.layer as layer_a,
        a.plane as plane_a,
        b.cell_key as cell_key_b,
        b.layer as layer_b,
        b.plane as plane_b,
        a.split as split,
        count(*) as classes,
        unit_vectors(list(a.direction_rad order by a.label)) as unit_a,
        unit_vectors(list(b.direction_rad order by a.label)) as unit_b,
    from matched
    group by
        kind,
        a.cell_key,
        a.layer,
        a.plane,
        b.cell_key,
        b.layer,
        b.plane,
        a.split
)

select * from pairs
