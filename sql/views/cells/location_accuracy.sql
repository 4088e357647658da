-- Question: from which places of the image plane can the memory name the class?
-- Grain: x, y, layer, cell (current): 1-NN accuracy of A(:,x,y) against the
--   memory at the same place, Wilson 95 % interval; chance = 1 / classes in
--   the location memory, whose images are taken class by class in turn
-- Reads: location_neighbours, records, cells
-- Params: none
-- Columns: x: the place [half image]; y: the place, y up [half image]; n_query:
--   query images asked at the place [images]; accuracy: share of the query
--   images whose nearest memory image at the place has their class; ci_low:
--   lower end of the 95 % Wilson interval of accuracy; ci_high: upper end of
--   the 95 % Wilson interval of accuracy; chance: 1 / classes in the location
--   memory
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

sizes as (
    select cell_key, location_memory
    from cells
),

memories as (
    select
        records.cell_key,
        records.layer,
        1 / least(
            count(distinct records.label),
            any_value(sizes.location_memory)
        ) as chance,
    from records
    left join sizes
        on records.cell_key = sizes.cell_key
    where records.split = 'memory'
    group by
        records.cell_key,
        records.layer
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
