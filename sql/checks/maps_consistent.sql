-- Question: is every mean energy map possible and of its stated size?
-- Grain: mean map; healthy: no row
-- Reads: energy_maps
-- Params: none
with

maps as (
    select
        cell_key,
        layer,
        split,
        label,
        n,
        len(mean_energy) as pixels,
        height * width as stated_pixels,
        list_min(mean_energy) as least_energy,
        len(radius) as radii,
        len(radial_energy) as rings,
        ee50_radius,
        ee80_radius,
        r_squared,
    from energy_maps
),

impossible as (
    select *
    from maps
    where pixels is distinct from stated_pixels
        or least_energy < 0
        or radii is distinct from rings
        or ee50_radius > ee80_radius
        or r_squared > 1 + 1e-9
        or n < 1
)

select * from impossible
order by cell_key, layer, split, label
