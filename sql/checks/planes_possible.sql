-- Question: are the figures of frames possible, and is there one row for each?
-- Grain: frame, layer, cell with a figure that cannot be, or without one that
--   must be; healthy: no row. Cells that were committed before the table was
--   have no rows, which is none missing
-- Reads: planes, layers
-- Params: none
with

frame_rows as (
    select
        cell_key,
        layer,
        frame,
        agreement,
        agreement_low,
        agreement_high,
        agreement_p,
        joint_effect,
        joint_effect_low,
        joint_effect_high,
        joint_effect_p,
        null_agreement_low,
        null_agreement_high,
        null_joint_effect_low,
        null_joint_effect_high,
        draws,
        accuracy,
    from planes
),

cell_layers as (
    select cell_key, layer from layers
),

cells_compared as (
    select distinct cell_key from frame_rows
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
        frame_rows.* exclude (cell_key, layer, frame),
        frame_rows.frame is null as is_missing,
    from expected
    left join frame_rows
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
)

select * from impossible
order by cell_key, layer, frame
