-- Question: how sure are the angles of a cell?
-- Grain: split, plane, original cell (current) at its bottleneck
-- Reads: plane_uncertainty, layers
-- Params: none
-- Columns: n: images whose angle has a standard deviation [images]; readings:
--   fewest variants held of one of them, null where n is 0; median_sd_rad:
--   median of their circular standard deviations, null where n is 0 [rad];
--   upper_sd_rad: what 90 % of their circular standard deviations lie below,
--   null where n is 0 [rad]
with

bottlenecks as (
    select cell_key, layer
    from layers
    where is_bottleneck
),

images as (
    select
        plane_uncertainty.cell_key,
        plane_uncertainty.dataset,
        plane_uncertainty.model,
        plane_uncertainty.variant,
        plane_uncertainty.layer,
        plane_uncertainty.plane,
        plane_uncertainty.split,
        plane_uncertainty.readings,
        plane_uncertainty.sd_rad,
    from plane_uncertainty
    semi join bottlenecks
        on plane_uncertainty.cell_key = bottlenecks.cell_key
        and plane_uncertainty.layer = bottlenecks.layer
),

summary as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        plane,
        split,
        count(sd_rad) as n,
        min(readings) filter (where sd_rad is not null) as readings,
        median(sd_rad) as median_sd_rad,
        quantile_cont(sd_rad, 0.9) as upper_sd_rad,
    from images
    group by
        cell_key,
        dataset,
        model,
        variant,
        layer,
        plane,
        split
)

select * from summary
