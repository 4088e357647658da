-- Question: which class does the memory mistake for which, most often?
-- Grain: true class, predicted class, cell (current); wrong answers only, the
--   most frequent share of the true class first
-- Reads: memory_confusion
-- Params: $scheme ('pooled', 'chroma', 'theta', 'energy'), $k (1, 5 or 20)
with

confusion as (
    select
        dataset,
        model,
        variant,
        cell_key,
        layer,
        scheme,
        k,
        label,
        class_name,
        predicted_label,
        predicted_class_name,
        n,
    from memory_confusion
    where scheme = $scheme
        and k = $k
),

shares as (
    select
        *,
        n / sum(n) over (partition by cell_key, layer, label)
            as share_of_class,
    from confusion
),

mistakes as (
    select *
    from shares
    where label <> predicted_label
)

select * from mistakes
order by
    dataset,
    model,
    variant,
    share_of_class desc,
    label,
    predicted_label
