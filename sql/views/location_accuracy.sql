-- Question: from which places of the image plane can the memory name the class?
-- Grain: x, y, layer, cell (current): 1-NN accuracy of A(:,x,y) against the
--   memory at the same place, Wilson 95 % interval; chance = 1 / classes
--   present in memory
-- Reads: location_neighbours, records
-- Params: none
-- Columns: x: the place [half image]; y: the place, y up [half image]; n_query:
--   query images asked at the place [images]; accuracy: share of the query
--   images whose nearest memory image at the place has their class; ci_low:
--   lower end of the 95 % Wilson interval of accuracy; ci_high: upper end of
--   the 95 % Wilson interval of accuracy; chance: 1 / classes present in memory
with

answers as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        x,
        y,
        memory_label = label as is_correct,
    from location_neighbours
    where scheme = 'location'
),

memories as (
    select
        cell_key,
        layer,
        1 / count(distinct label) as chance,
    from records
    where split = 'memory'
    group by
        cell_key,
        layer
),

places as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        x,
        y,
        count(*) as n_query,
        avg(is_correct::integer) as accuracy,
    from answers
    group by
        cell_key,
        dataset,
        model,
        variant,
        layer,
        x,
        y
),

bounded as (
    select
        places.*,
        wilson_low(places.accuracy, places.n_query) as ci_low,
        wilson_high(places.accuracy, places.n_query) as ci_high,
        memories.chance,
    from places
    left join memories
        on places.cell_key = memories.cell_key
        and places.layer = memories.layer
)

select * from bounded
