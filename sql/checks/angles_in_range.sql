-- Question: does every angle lie in (-pi, pi], and every opening in [0, pi]?
-- Grain: image, plane ('polar' for the opening), layer, cell; NaN counts as
--   outside; healthy: no row
-- Reads: plane_angles, records
-- Params: none
with

thetas as (
    select
        cell_key,
        layer,
        image_id,
        plane,
        theta_rad as angle_rad,
        not (theta_rad > -pi() and theta_rad <= pi()) as is_outside,
    from plane_angles
),

openings as (
    select
        cell_key,
        layer,
        image_id,
        'polar' as plane,
        polar_angle_rad as angle_rad,
        not (polar_angle_rad >= 0 and polar_angle_rad <= pi()) as is_outside,
    from records
),

all_angles as (
    select * from thetas
    union all by name
    select * from openings
),

outside as (
    select * exclude (is_outside)
    from all_angles
    where is_outside
)

select * from outside
order by cell_key, layer, image_id, plane
