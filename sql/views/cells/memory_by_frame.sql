-- Question: how often does an angle name the class of a query image, in the
--   coupled frame and in frames that know less?
-- Grain: frame, layer (bottleneck), cell (current), over the query split;
--   scheme 'theta', k = 1. accuracy is a median where there are several fits
-- Reads: planes
-- Params: none
-- Columns: split: 'query', which alone asks; scheme: 'theta'; k: nearest memory
--   images that vote: 1; chance: 1 / classes; beyond_swapped: accuracy exceeds
--   the 95 % quantile over the swapped frames, null without those
with

figures as (
    select * from planes
    where accuracy is not null
),

swapped as (
    select
        cell_key,
        layer,
        accuracy_high,
    from figures
    where frame = 'swapped'
),

compared as (
    select
        figures.cell_key,
        figures.dataset,
        figures.model,
        figures.variant,
        figures.layer,
        'query' as split,
        'theta' as scheme,
        1 as k,
        figures.frame,
        figures.fits,
        figures.n_memory,
        figures.n_query,
        figures.accuracy,
        figures.accuracy_low,
        figures.accuracy_high,
        1 / nullif(figures.classes, 0) as chance,
        figures.accuracy > swapped.accuracy_high as beyond_swapped,
    from figures
    left join swapped
        on figures.cell_key = swapped.cell_key
        and figures.layer = swapped.layer
)

select * from compared
