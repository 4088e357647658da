-- Question: how do focus, opening and class bias change from layer to layer?
-- Grain: layer, cell (current), in order of execution; change columns are
--   ratios to the first recorded layer of the cell
-- Reads: concentration_by_layer
-- Params: $split ('memory' or 'query')
with

path as (
    select
        dataset,
        model,
        variant,
        cell_key,
        layer,
        layer_index,
        is_bottleneck,
        split,
        n,
        channels,
        height,
        width,
        ee50_radius,
        ee80_radius,
        anisotropy,
        polar_angle_rad,
        polar_angle_bound_rad,
        coupling_1,
        coupling_2,
        class_bias_image,
        class_bias_feature,
    from concentration_by_layer
    where split = $split
),

compared as (
    select
        *,
        ee50_radius / first_value(ee50_radius) over (
            partition by cell_key
            order by layer_index
        ) as ee50_over_first,
        polar_angle_rad / polar_angle_bound_rad as polar_angle_over_bound,
    from path
)

select * from compared
order by dataset, model, variant, layer_index
