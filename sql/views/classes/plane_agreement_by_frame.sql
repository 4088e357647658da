-- Question: do classes lean the same way in both planes, beyond what fitting
--   the frame makes them?
-- Grain: frame, layer, cell (current), over the query split. agreement, its p
--   and its null as the lake has them: 'loco' is fitted without the class that
--   is asked about and refitted under its null, 'coupled' is judged by
--   'swapped'; agreement_p and joint_effect_p are null where too few classes or
--   images can be tested. plane_agreement has the coupled frame of both splits,
--   against class labels that are permuted without a refit
-- Reads: planes, layers
-- Params: none
-- Columns: split: 'query', which alone is asked
with

figures as (
    select * from planes
),

cell_layers as (
    select cell_key, layer, layer_index, is_bottleneck, is_evidence from layers
),

placed as (
    select
        figures.cell_key,
        figures.dataset,
        figures.model,
        figures.variant,
        figures.layer,
        cell_layers.layer_index,
        cell_layers.is_bottleneck,
        cell_layers.is_evidence,
        'query' as split,
        figures.frame,
        figures.fits,
        figures.classes,
        figures.n_query,
        figures.agreement,
        figures.agreement_low,
        figures.agreement_high,
        figures.agreement_p,
        figures.null_agreement_low,
        figures.null_agreement_median,
        figures.null_agreement_high,
        figures.joint_effect,
        figures.joint_effect_low,
        figures.joint_effect_high,
        figures.joint_effect_p,
        figures.null_joint_effect_low,
        figures.null_joint_effect_median,
        figures.null_joint_effect_high,
        figures.draws,
        figures.agreement_se,
        figures.joint_effect_se,
    from figures
    inner join cell_layers
        on figures.cell_key = cell_layers.cell_key
        and figures.layer = cell_layers.layer
)

select * from placed
