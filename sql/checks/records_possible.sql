-- Question: is every energy, radius and share of a record possible?
-- Grain: image, layer, cell with a negative energy, a centroid or circle
--   outside the image, EE50 above EE80, or a share outside [0, 1]; healthy: no
--   row
-- Reads: records
-- Params: none
with

measures as (
    select
        cell_key,
        layer,
        image_id,
        energy_total,
        dipole_x,
        dipole_y,
        ee50_radius,
        ee80_radius,
        centre_density_ratio,
        anisotropy,
        negative_share,
    from records
),

impossible as (
    select *
    from measures
    where not energy_total >= 0
        or isnan(energy_total)
        or abs(dipole_x) > 1
        or abs(dipole_y) > 1
        or ee50_radius < 0
        or ee50_radius > ee80_radius
        or ee80_radius > sqrt(2) + 1e-9
        or centre_density_ratio < 0
        or anisotropy not between -1e-9 and 1 + 1e-9
        or negative_share not between 0 and 1
)

select * from impossible
order by cell_key, layer, image_id
