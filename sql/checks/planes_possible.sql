-- Question: are the figures of frames possible, is there one row for each, and
--   do the directions of classes left out give the bottleneck's again?
-- Grain: frame, layer, cell with a figure that cannot be, or without one that
--   must be; healthy: no row. Cells that were committed before the table was
--   have no rows, which is none missing
-- Reads: planes, layers, loco_directions
-- Params: none
with

framed as (
    select
        cell_key,
        layer,
        frame,
        agreement,
        agreement_low,
        agreement_high,
        joint_effect,
        joint_effect_low,
        joint_effect_high,
        draws,
        agreement_p,
        null_agreement_low,
        null_agreement_high,
        joint_effect_p,
        null_joint_effect_low,
        null_joint_effect_high,
        accuracy,
        agreement_se,
        joint_effect_se,
    from planes
),

cell_layers as (
    select cell_key, layer from layers
),

directions as (
    select
        cell_key,
        layer,
        label,
        half,
        n,
        resultant_image_x,
        resultant_image_y,
        resultant_feature_x,
        resultant_feature_y,
    from loco_directions
),

crossings as (
    select
        image.cell_key,
        image.layer,
        'loco' as frame,
        avg(
            image.resultant_image_x * feature.resultant_feature_x
            + image.resultant_image_y * feature.resultant_feature_y
        ) as joint_effect_again,
        bool_or(
            coalesce(feature.n < 1, true)
            or greatest(
                resultant_of(image.resultant_image_x, image.resultant_image_y),
                resultant_of(
                    image.resultant_feature_x, image.resultant_feature_y
                )
            ) > 1 + 1e-9
        ) as is_impossible,
    from directions as image
    left join directions as feature
        on image.cell_key = feature.cell_key
        and image.layer = feature.layer
        and image.label = feature.label
        and image.half = 1 - feature.half
    group by
        image.cell_key,
        image.layer
),

cells_compared as (
    select distinct cell_key from framed
),

expected as (
    select
        cell_layers.cell_key,
        cell_layers.layer,
        unnest([
            'coupled',
            'loco',
            'within',
            'swapped',
            'random',
            'principal',
        ]) as frame,
    from cell_layers
    semi join cells_compared
        on cell_layers.cell_key = cells_compared.cell_key
),

compared as (
    select
        expected.*,
        framed.* exclude (cell_key, layer, frame),
        framed.frame is null as is_missing,
        crossings.joint_effect_again,
        crossings.is_impossible,
    from expected
    left join framed
        using (cell_key, layer, frame)
    left join crossings
        using (cell_key, layer, frame)
),

impossible as (
    select *
    from compared
    where is_missing
        or abs(agreement) > 1 + 1e-9
        or abs(joint_effect) > 1 + 1e-9
        or agreement_p not between 1 / draws and 1
        or joint_effect_p not between 1 / draws and 1
        or accuracy not between 0 and 1
        or agreement_low > agreement_high
        or joint_effect_low > joint_effect_high
        or null_agreement_low > null_agreement_high
        or null_joint_effect_low > null_joint_effect_high
        or agreement_se < 0
        or joint_effect_se < 0
        or is_impossible
        or abs(joint_effect - joint_effect_again) > 1e-9
)

select * from impossible
order by cell_key, layer, frame
