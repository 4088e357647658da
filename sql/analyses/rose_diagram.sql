-- Question: how are the angles of each class spread around the circle?
-- Grain: bin, class, plane, cell (current); bottleneck layer; bins are equal
--   sectors as sector_of counts them, empty ones have no row
-- Reads: plane_angles, layers
-- Params: $split ('memory' or 'query'), $bins (bins of the circle)
with

bottlenecks as (
    select cell_key, layer
    from layers
    where is_bottleneck
),

circle as (
    select
        plane_angles.dataset,
        plane_angles.model,
        plane_angles.variant,
        plane_angles.cell_key,
        plane_angles.layer,
        plane_angles.plane,
        plane_angles.split,
        plane_angles.label,
        plane_angles.class_name,
        plane_angles.theta_rad,
    from plane_angles
    semi join bottlenecks
        on plane_angles.cell_key = bottlenecks.cell_key
        and plane_angles.layer = bottlenecks.layer
    where plane_angles.split = $split
        and plane_angles.theta_rad is not null
),

binned as (
    select
        * exclude (theta_rad),
        sector_of(theta_rad, $bins) as bin,
    from circle
),

counted as (
    select
        dataset,
        model,
        variant,
        cell_key,
        layer,
        plane,
        split,
        label,
        class_name,
        bin,
        sector_centre(bin, $bins) as bin_centre_rad,
        count(*) as n,
    from binned
    group by
        dataset,
        model,
        variant,
        cell_key,
        layer,
        plane,
        split,
        label,
        class_name,
        bin
)

select * from counted
order by dataset, model, variant, plane, label, bin
