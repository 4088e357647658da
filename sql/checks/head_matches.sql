-- Question: is the head scored exactly on the classes that are its own?
-- Grain: cell scored though no class matches, or on a part of a class, or with
--   a head_correct that contradicts the prediction; healthy: no row
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

classes as (
    select
        cell_key,
        label,
        count(*) as n,
        count(head_correct) as scored,
        count_if(
            coalesce(head_correct and head_label <> label, false)
            or coalesce(not head_correct and head_label = label, false)
            or (head_correct is null and head_label is not null)
        ) as contradictions,
    from predictions
    group by cell_key, label
),

counts as (
    select
        cell_key,
        sum(scored)::bigint as scored,
        count_if(scored not in (0, n)) as torn_classes,
        sum(contradictions)::bigint as contradictions,
    from classes
    group by cell_key
),

faulty as (
    select *
    from current_cells
    inner join counts
        using (cell_key)
    where contradictions > 0
        or torn_classes > 0
        or (not head_matches and scored > 0)
)

select * from faulty
order by cell_key
