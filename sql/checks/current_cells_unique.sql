-- Question: has any dataset, model and variant more than one current cell?
-- Grain: dataset, model, variant with several current cells; healthy: no row
-- Reads: cells
-- Params: none
with

current_cells as (
    select dataset, model, variant
    from cells
    where is_current
),

repeated as (
    select
        dataset,
        model,
        variant,
        count(*) as n,
    from current_cells
    group by
        dataset,
        model,
        variant
    having count(*) > 1
)

select * from repeated
order by dataset, model, variant
