-- Question: what do networks that nobody trained come to, as a population?
-- Grain: figure, padding, cell (current) that is evidence and has seeds of
--   random weights: variants 'random-init:<seed>', whose batch norms are
--   re-estimated on the memory split
-- Reads: comparable_cells, cell_figures
-- Params: none
-- Columns: cell_key: the trained network's; padding: of every map, '' (the
--   network's own) or 'circular'; seeds: random networks with this figure;
--   mean: over the seeds; sd: sample standard deviation over the seeds; bound:
--   what one more random network exceeds once in a hundred times, null below
--   eleven seeds
with

figures_of_cells as (
    select
        cell_key,
        dataset,
        model,
        figure,
        estimate,
    from cell_figures
),

random_weights as (
    select
        cell_key,
        control_key,
        case
            when starts_with(variant, 'pad-circular+') then 'circular'
            else ''
        end as padding,
    from comparable_cells
    where regexp_matches(variant, '^(pad-circular[+])?random-init:[0-9]+$')
),

drawn as (
    select
        random_weights.cell_key,
        figures_of_cells.dataset,
        figures_of_cells.model,
        random_weights.padding,
        figures_of_cells.figure,
        count(figures_of_cells.estimate) as seeds,
        avg(figures_of_cells.estimate) as mean,
        stddev_samp(figures_of_cells.estimate) as sd,
    from random_weights
    inner join figures_of_cells
        on random_weights.control_key = figures_of_cells.cell_key
    group by
        random_weights.cell_key,
        figures_of_cells.dataset,
        figures_of_cells.model,
        random_weights.padding,
        figures_of_cells.figure
),

bounded as (
    select
        *,
        next_draw_bound(seeds, mean, sd) as bound,
    from drawn
)

select * from bounded
