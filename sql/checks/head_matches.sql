-- Question: is the head's prediction stored exactly where its classes match?
-- Grain: cell with a prediction missing or uncalled for, or a head_correct that
--   contradicts it; healthy: no row
-- Reads: cells, records
-- Params: none
with

current_cells as (
    select cell_key, head_matches
    from cells
    where is_current
),

predictions as (
    select cell_key, label, head_label, head_correct from records
),

counts as (
    select
        cell_key,
        count(*) as n,
        count(head_label) as predicted,
        count_if(
            head_correct is distinct from (head_label = label)
        ) as contradictions,
    from predictions
    group by cell_key
),

faulty as (
    select *
    from current_cells
    inner join counts
        using (cell_key)
    where contradictions > 0
        or (head_matches and predicted < n)
        or (not head_matches and predicted > 0)
)

select * from faulty
order by cell_key
