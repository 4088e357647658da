-- Question: how many angles of a cell are how sure?
-- Grain: bin of standard deviations, split, plane, original cell (current) at
--   its bottleneck. 28 bins, empty ones too: the first begins at 0.1 degrees
--   and eight make a power of ten, closed below; what lies outside is counted
--   in the first and in the last
-- Reads: plane_uncertainty, theta_summary
-- Params: none
-- Columns: bin: from 1; sd_low_rad: where the bin begins [rad]; sd_high_rad:
--   where the bin ends [rad]; n: images whose angle has a standard deviation in
--   the bin [images]
with

scale as (
    select
        radians(0.1) as least_rad,
        8 as per_decade,
        28 as bins,
),

edges as (
    select
        unnest(range(1, bins + 1)) as bin,
        least_rad,
        per_decade,
    from scale
),

planes as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        plane,
        split,
    from theta_summary
),

images as (
    select
        plane_uncertainty.cell_key,
        plane_uncertainty.layer,
        plane_uncertainty.plane,
        plane_uncertainty.split,
        floor(
            scale.per_decade
            * log10(
                greatest(plane_uncertainty.sd_rad / scale.least_rad, 1)
            )
        ) as steps,
        scale.bins,
    from plane_uncertainty
    cross join scale
    where plane_uncertainty.sd_rad is not null
),

counts as (
    select
        cell_key,
        layer,
        plane,
        split,
        least(steps + 1, bins)::bigint as bin,
        count(*) as n,
    from images
    group by
        cell_key,
        layer,
        plane,
        split,
        bin
),

spread as (
    select
        planes.*,
        edges.bin,
        edges.least_rad * 10 ** ((edges.bin - 1) / edges.per_decade)
            as sd_low_rad,
        edges.least_rad * 10 ** (edges.bin / edges.per_decade)
            as sd_high_rad,
        coalesce(counts.n, 0) as n,
    from planes
    cross join edges
    left join counts
        using (cell_key, layer, plane, split, bin)
)

select * from spread
