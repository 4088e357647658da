-- Question: how well does the memory know each class?
-- Grain: class, k, scheme, layer, cell (current), over the query split. A class
--   that is neither asked nor answered has no row; precision is null where it
--   is never answered, recall where it is never asked; f1 = 2 tp / (asked +
--   answered)
-- Reads: memory_confusion
-- Params: none
-- Columns: label: class index; class_name: class name; support: query images of
--   the class [images]; predicted: query images that were given the class
--   [images]; correct: query images of the class that were given it [images];
--   precision: correct over predicted, null where the class is never answered;
--   recall: correct over support, null where the class is never asked; f1: 2
--   correct / (support + predicted)
with

confusion as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        split,
        scheme,
        k,
        label,
        class_name,
        predicted_label,
        predicted_class_name,
        n,
    from memory_confusion
),

asked as (
    select
        * exclude (predicted_label, predicted_class_name, n),
        n as asked,
        0 as answered,
        case when label = predicted_label then n else 0 end as correct,
    from confusion
),

answered as (
    select
        * exclude (label, class_name, predicted_label, predicted_class_name, n),
        predicted_label as label,
        predicted_class_name as class_name,
        0 as asked,
        n as answered,
        0 as correct,
    from confusion
),

both_sides as (
    select * from asked
    union all by name
    select * from answered
),

totals as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        split,
        scheme,
        k,
        label,
        class_name,
        sum(asked)::bigint as support,
        sum(answered)::bigint as predicted,
        sum(correct)::bigint as correct,
    from both_sides
    group by
        cell_key,
        dataset,
        model,
        variant,
        layer,
        split,
        scheme,
        k,
        label,
        class_name
),

scored as (
    select
        *,
        correct / nullif(predicted, 0) as precision,
        correct / nullif(support, 0) as recall,
        2 * correct / (support + predicted) as f1,
    from totals
)

select * from scored
