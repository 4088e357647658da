-- Question: which class does the memory take for which?
-- Grain: true class, predicted class (n > 0), k, scheme, layer, cell (current),
--   over the query split
-- Reads: memory_votes, cells
-- Params: none
-- Columns: split: 'query'; class_name: name of the true class;
--   predicted_class_name: name of the predicted class; n: query images of the
--   true class that were given the predicted one [images]
with

votes as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        scheme,
        k,
        label,
        predicted_label,
    from memory_votes
),

names as (
    select cell_key, class_names
    from cells
    where is_current
),

counted as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        'query' as split,
        scheme,
        k,
        label,
        predicted_label,
        count(*) as n,
    from votes
    group by
        cell_key,
        dataset,
        model,
        variant,
        layer,
        scheme,
        k,
        label,
        predicted_label
),

named as (
    select
        counted.* exclude (n),
        names.class_names[counted.label + 1] as class_name,
        names.class_names[counted.predicted_label + 1]
            as predicted_class_name,
        counted.n,
    from counted
    left join names
        using (cell_key)
)

select * from named
