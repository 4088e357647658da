-- Question: is the mean energy a Sombrero potential about the image centre?
-- Grain: split, layer, cell (current), over all images. shape: 'hat' where the
--   trough lies inside the image (radius <= 1), 'dome' where the energy falls
--   from the centre without reaching a trough there, 'bowl' where it does not
--   fall from the centre (b <= 0), null without a fit
-- Reads: energy_maps, layers
-- Params: none
with

maps as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        layer_index,
        split,
        n,
        height,
        width,
        sombrero_a as a,
        sombrero_b as b,
        sombrero_c as c,
        trough_radius,
        r_squared,
        ee50_radius,
        ee80_radius,
        centre_density_ratio,
        anisotropy,
    from energy_maps
    where label is null
),

cell_layers as (
    select cell_key, layer, is_bottleneck from layers
),

shaped as (
    select
        maps.*,
        cell_layers.is_bottleneck,
        case
            when maps.b is null or isnan(maps.b)
                then null
            when maps.b <= 0
                then 'bowl'
            when maps.trough_radius <= 1
                then 'hat'
            else 'dome'
        end as shape,
    from maps
    left join cell_layers
        using (cell_key, layer)
)

select * from shaped
