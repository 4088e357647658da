-- Question: on which image sets is the bottleneck's mean energy a Sombrero?
-- Grain: dataset, variant, split; figures over models are medians
-- Reads: sombrero
-- Params: none
with

fits as (
    select
        dataset,
        variant,
        split,
        shape,
        trough_radius,
        r_squared,
        ee50_radius,
        ee80_radius,
        anisotropy,
    from sombrero
    where is_bottleneck
),

summary as (
    select
        dataset,
        variant,
        split,
        count(*) as models,
        count_if(shape = 'hat') as hats,
        count_if(shape = 'dome') as domes,
        count_if(shape = 'bowl') as bowls,
        median(r_squared) as r_squared,
        median(trough_radius) as trough_radius,
        median(ee50_radius) as ee50_radius,
        median(ee80_radius) as ee80_radius,
        median(anisotropy) as anisotropy,
    from fits
    group by
        dataset,
        variant,
        split
)

select * from summary
order by dataset, variant, split
