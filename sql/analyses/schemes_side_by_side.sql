-- Question: which memory scheme names the class best?
-- Grain: cell (current), one accuracy column per scheme, over the query split
-- Reads: memory_report
-- Params: $k (1, 5 or 20)
with

scores as (
    select
        dataset,
        model,
        variant,
        cell_key,
        layer,
        scheme,
        k,
        n_memory,
        n_query,
        accuracy,
        chance,
        head_accuracy,
    from memory_report
    where k = $k
),

beside as (
    select
        dataset,
        model,
        variant,
        cell_key,
        layer,
        k,
        n_memory,
        n_query,
        chance,
        any_value(accuracy) filter (where scheme = 'pooled') as pooled,
        any_value(accuracy) filter (where scheme = 'chroma') as chroma,
        any_value(accuracy) filter (where scheme = 'theta') as theta,
        any_value(accuracy) filter (where scheme = 'energy') as energy,
        head_accuracy as head,
    from scores
    group by
        dataset,
        model,
        variant,
        cell_key,
        layer,
        k,
        n_memory,
        n_query,
        chance,
        head_accuracy
)

select * from beside
order by dataset, model, variant
