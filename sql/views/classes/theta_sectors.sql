-- Question: into which sector of the circle do the angles of each class fall?
-- Grain: sector, class, split, plane, cell (current) at its bottleneck; sectors
--   of 15 degrees, as sector_of counts them; those without an image have no row
-- Reads: plane_angles, layers
-- Params: none
-- Columns: sectors: equal sectors of the circle; sector: counter-clockwise from
--   1, which begins at -pi, open below and closed above; n: images of the class
--   in the sector [images]
with

bottlenecks as (
    select cell_key, layer
    from layers
    where is_bottleneck
),

circle as (
    select
        plane_angles.cell_key,
        plane_angles.dataset,
        plane_angles.model,
        plane_angles.variant,
        plane_angles.layer,
        plane_angles.plane,
        plane_angles.split,
        plane_angles.label,
        plane_angles.class_name,
        plane_angles.theta_rad,
        24 as sectors,
    from plane_angles
    semi join bottlenecks
        on plane_angles.cell_key = bottlenecks.cell_key
        and plane_angles.layer = bottlenecks.layer
    where plane_angles.theta_rad is not null
),

placed as (
    select
        * exclude (theta_rad),
        sector_of(theta_rad, sectors) as sector,
    from circle
),

counted as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        plane,
        split,
        label,
        class_name,
        sectors,
        sector,
        count(*) as n,
    from placed
    group by
        cell_key,
        dataset,
        model,
        variant,
        layer,
        plane,
        split,
        label,
        class_name,
        sectors,
        sector
)

select * from counted
