-- Question: how often does the memory name the class of a query image?
-- Grain: k, scheme, layer, cell (current), over the query split. ci_low and
--   ci_high: Wilson 95 %; macro_f1: mean over the classes asked or answered;
--   chance: 1 / classes present in memory (the share that blind guessing gets
--   whatever the classes' sizes; not the share of the largest class);
--   head_accuracy: the model's own head on the images of this split whose
--   class it has, null where it has none of them
-- Reads: memory_per_class, records
-- Params: none
-- Columns: n_memory: images with a record in the memory split [images];
--   n_query: query images asked [images]; accuracy: share of the query images
--   that are named right; ci_low: lower end of the 95 % Wilson interval of
--   accuracy; ci_high: upper end of the 95 % Wilson interval of accuracy;
--   macro_f1: mean of f1 over the classes asked or answered; chance: 1 /
--   classes present in memory; head_accuracy: of the query images whose class
--   the model's own head has, the share that it names right
with

classes as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        split,
        scheme,
        k,
        support,
        correct,
        f1,
    from memory_per_class
),

images as (
    select cell_key, layer, split, label, head_correct from records
),

scores as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        split,
        scheme,
        k,
        sum(support)::bigint as n_query,
        sum(correct) / sum(support) as accuracy,
        avg(f1) as macro_f1,
    from classes
    group by
        cell_key,
        dataset,
        model,
        variant,
        layer,
        split,
        scheme,
        k
),

stores as (
    select
        cell_key,
        layer,
        count_if(split = 'memory')::bigint as n_memory,
        count(distinct label) filter (where split = 'memory')
            as classes_memory,
        avg(head_correct::integer) filter (where split = 'query')
            as head_accuracy,
    from images
    group by
        cell_key,
        layer
),

report as (
    select
        scores.cell_key,
        scores.dataset,
        scores.model,
        scores.variant,
        scores.layer,
        scores.split,
        scores.scheme,
        scores.k,
        stores.n_memory,
        scores.n_query,
        scores.accuracy,
        wilson_low(scores.accuracy, scores.n_query) as ci_low,
        wilson_high(scores.accuracy, scores.n_query) as ci_high,
        scores.macro_f1,
        1 / nullif(stores.classes_memory, 0) as chance,
        stores.head_accuracy,
    from scores
    left join stores
        using (cell_key, layer)
)

select * from report
