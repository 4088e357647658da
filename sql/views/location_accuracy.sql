-- Question: from which places of the image plane can the memory name the class?
-- Grain: x, y, layer, cell (current); empty: no table of the lake holds
--   searches at a single place, so the columns are declared and no row is shown
-- Reads: nothing
-- Params: none
with

places as (
    select
        null::varchar as cell_key,
        null::varchar as dataset,
        null::varchar as model,
        null::varchar as variant,
        null::varchar as layer,
        null::varchar as split,
        null::double as x,
        null::double as y,
        null::double as accuracy,
        null::bigint as n_query,
    where false
)

select * from places
