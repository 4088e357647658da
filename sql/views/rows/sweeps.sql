-- Question: which sweeps came to their end, and what did they do?
-- Grain: sweep, or training
-- Reads: lake.sweeps
-- Params: none
with

concluded as (
    select * from lake.sweeps
)

select * from concluded
