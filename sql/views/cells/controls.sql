-- Question: does theta turn with the picture as it should, and does it stay
--   where nothing should turn it?
-- Grain: split, plane, layer, cell (current) of a variant, image by image
--   against the original of the same dataset and model. z = strength e^{i
--   theta} is observed, w is the expected transform of the original's.
--   complex_correlation = Re(sum conj(w) z) / sqrt(sum |w|^2 sum |z|^2);
--   turn_rad = arg(sum conj(w) z), 0 where the expectation is met;
--   class_agreement = mean over classes of cos(class direction - expected one)
-- Reads: cells, layers, variant_transforms, plane_angles, class_directions
-- Params: none
-- Columns: n: images with an angle in both cells [images]; complex_correlation:
--   Re(sum conj(w) z) / sqrt(sum |w|^2 sum |z|^2) over n, z = strength e^(i
--   theta) observed, w expected; turn_rad: arg(sum conj(w) z), 0 where the
--   expectation is met [rad]; mean_cosine: mean over n of cos(observed -
--   expected theta); median_error_rad: median over n of |observed - expected
--   theta| [rad]; class_agreement: mean over classes of cos(observed - expected
--   class direction)
with

current_cells as (
    select cell_key, dataset, model, variant
    from cells
    where is_current
),

transforms as (
    select variant, expected, mirror, turn_rad from variant_transforms
),

pairs as (
    select
        control.cell_key,
        control.dataset,
        control.model,
        control.variant,
        original.cell_key as original_key,
        transforms.expected,
        if(transforms.mirror, -1, 1) as sense,
        transforms.turn_rad,
    from current_cells as control
    inner join current_cells as original
        on control.dataset = original.dataset
        and control.model = original.model
        and original.variant = 'original'
        and control.variant <> 'original'
    inner join transforms
        on control.variant = transforms.variant
),

circle as (
    select
        cell_key,
        layer,
        plane,
        split,
        image_id,
        theta_rad,
        strength,
    from plane_angles
    where theta_rad is not null
),

images as (
    select
        pairs.cell_key,
        observed.layer,
        observed.plane,
        observed.split,
        observed.strength,
        original.strength as expected_strength,
        angular_difference(
            observed.theta_rad,
            pairs.turn_rad + pairs.sense * original.theta_rad
        ) as error_rad,
    from pairs
    inner join circle as observed
        on pairs.cell_key = observed.cell_key
    inner join circle as original
        on pairs.original_key = original.cell_key
        and observed.layer = original.layer
        and observed.plane = original.plane
        and observed.image_id = original.image_id
),

sums as (
    select
        cell_key,
        layer,
        plane,
        split,
        count(*) as n,
        sum(strength * expected_strength * cos(error_rad)) as in_phase,
        sum(strength * expected_strength * sin(error_rad)) as out_of_phase,
        sqrt(sum(strength ** 2) * sum(expected_strength ** 2)) as norm,
        avg(cos(error_rad)) as mean_cosine,
        median(abs(error_rad)) as median_error_rad,
    from images
    group by
        cell_key,
        layer,
        plane,
        split
),

directions as (
    select cell_key, layer, plane, split, label, mean_direction_rad
    from class_directions
    where mean_direction_rad is not null
),

class_agreements as (
    select
        pairs.cell_key,
        observed.layer,
        observed.plane,
        observed.split,
        avg(
            cos(
                observed.mean_direction_rad
                - pairs.turn_rad
                - pairs.sense * original.mean_direction_rad
            )
        ) as class_agreement,
    from pairs
    inner join directions as observed
        on pairs.cell_key = observed.cell_key
    inner join directions as original
        on pairs.original_key = original.cell_key
        and observed.layer = original.layer
        and observed.plane = original.plane
        and observed.split = original.split
        and observed.label = original.label
    group by
        pairs.cell_key,
        observed.layer,
        observed.plane,
        observed.split
),

compared as (
    select
        pairs.cell_key,
        pairs.dataset,
        pairs.model,
        pairs.variant,
        sums.layer,
        layers.is_bottleneck,
        sums.plane,
        sums.split,
        pairs.expected,
        sums.n,
        sums.in_phase / nullif(sums.norm, 0) as complex_correlation,
        case
            when sums.norm > 0
                then wrap_angle(atan2(sums.out_of_phase, sums.in_phase))
        end as turn_rad,
        sums.mean_cosine,
        sums.median_error_rad,
        class_agreements.class_agreement,
    from pairs
    inner join sums
        on pairs.cell_key = sums.cell_key
    left join layers
        on sums.cell_key = layers.cell_key
        and sums.layer = layers.layer
    left join class_agreements
        on sums.cell_key = class_agreements.cell_key
        and sums.layer = class_agreements.layer
        and sums.plane = class_agreements.plane
        and sums.split = class_agreements.split
)

select * from compared
