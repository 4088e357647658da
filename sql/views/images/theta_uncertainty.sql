-- Question: how sure is the angle of each image?
-- Grain: image, layer, original cell (current). The circular standard deviation
--   sqrt(-2 ln R) (Mardia 1972) of the readings that the lake holds: the
--   original, the mirrored picture with the mirror undone, shifts by a pixel,
--   bfloat16; null below three angles, and where they have no direction. What
--   a network answers otherwise to a mirrored picture is part of it. readings
--   counts the variants held
-- Reads: cells, variant_transforms, angles
-- Params: none
-- Columns: readings: variants held of the image, original and jitter;
--   theta_image_sd_rad: circular standard deviation sqrt(-2 ln R) of
--   theta_image over readings (Mardia), null below three angles, and where they
--   have no direction [rad]; theta_feature_sd_rad: circular standard deviation
--   sqrt(-2 ln R) of theta_feature over readings (Mardia), null below three
--   angles, and where they have no direction [rad]
with

current_cells as (
    select cell_key, dataset, model, variant
    from cells
    where is_current
),

jitter as (
    select
        variant,
        if(mirror, -1, 1) as sense,
        turn_rad,
    from variant_transforms
    where is_jitter
),

readings as (
    select
        original.cell_key as original_key,
        reading.cell_key,
        jitter.sense,
        jitter.turn_rad,
    from current_cells as original
    inner join current_cells as reading
        on original.dataset = reading.dataset
        and original.model = reading.model
        and original.variant = 'original'
    inner join jitter
        on reading.variant = jitter.variant
),

circle as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        image_id,
        split,
        label,
        class_name,
        theta_image_rad,
        theta_feature_rad,
    from angles
),

undone as (
    select
        readings.original_key as cell_key,
        circle.layer,
        circle.image_id,
        readings.sense * (circle.theta_image_rad - readings.turn_rad)
            as theta_image_rad,
        readings.sense * (circle.theta_feature_rad - readings.turn_rad)
            as theta_feature_rad,
    from readings
    inner join circle
        on readings.cell_key = circle.cell_key
),

spread as (
    select
        cell_key,
        layer,
        image_id,
        count(*) as readings,
        case
            when count(theta_image_rad) >= 3
                then resultant_length(theta_image_rad)
        end as resultant_image,
        case
            when count(theta_feature_rad) >= 3
                then resultant_length(theta_feature_rad)
        end as resultant_feature,
    from undone
    group by
        cell_key,
        layer,
        image_id
),

measured as (
    select
        circle.cell_key,
        circle.dataset,
        circle.model,
        circle.variant,
        circle.layer,
        circle.image_id,
        circle.split,
        circle.label,
        circle.class_name,
        spread.readings,
        case
            when spread.resultant_image >= 1e-12
                then sqrt(abs(2 * ln(spread.resultant_image)))
        end as theta_image_sd_rad,
        case
            when spread.resultant_feature >= 1e-12
                then sqrt(abs(2 * ln(spread.resultant_feature)))
        end as theta_feature_sd_rad,
    from circle
    inner join spread
        on circle.cell_key = spread.cell_key
        and circle.layer = spread.layer
        and circle.image_id = spread.image_id
)

select * from measured
