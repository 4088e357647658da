-- Question: does every confusion matrix sum to the query images of its search?
-- Grain: k, scheme, layer, cell whose sum differs; healthy: no row
-- Reads: memory_confusion, records
-- Params: none
with

confusion as (
    select cell_key, layer, scheme, k, n from memory_confusion
),

images as (
    select cell_key, layer, split from records
),

sums as (
    select
        cell_key,
        layer,
        scheme,
        k,
        sum(n) as votes,
    from confusion
    group by
        cell_key,
        layer,
        scheme,
        k
),

queries as (
    select
        cell_key,
        layer,
        count(*) as n_query,
    from images
    where split = 'query'
    group by
        cell_key,
        layer
),

unequal as (
    select *
    from sums
    left join queries
        using (cell_key, layer)
    where votes is distinct from n_query
)

select * from unequal
order by cell_key, layer, scheme, k
