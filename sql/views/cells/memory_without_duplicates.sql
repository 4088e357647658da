-- Question: how much of the memory's accuracy is of query pictures that have a
--   near-duplicate in memory?
-- Grain: scheme, layer, cell (current, variant 'original', likeness known); k 1
-- Reads: neighbours, likeness, near_duplicates
-- Params: none
-- Columns: n_query: query images [images]; accuracy: share of them whose
--   nearest memory image has their class; n_flagged: of them, those with a
--   near-duplicate in memory [images]; accuracy_flagged: the same share of
--   these; accuracy_without: of all others; mirrored_share: share of the query
--   images that are as like a memory picture once they are mirrored: what
--   chance and symmetry flag
with

compared as (
    select
        cell_key,
        image_id,
        mirrored_likeness,
    from likeness
),

flagged as (
    select
        cell_key,
        image_id,
    from near_duplicates
),

nearest as (
    select
        neighbours.cell_key,
        dataset,
        model,
        variant,
        layer,
        scheme,
        label = memory_label as is_right,
        flagged.image_id is not null as is_flagged,
        mirrored_likeness >= 0.9 as is_mirrored_flagged,
    from neighbours
    inner join compared
        on compared.cell_key = neighbours.cell_key
        and compared.image_id = neighbours.image_id
    left join flagged
        on flagged.cell_key = neighbours.cell_key
        and flagged.image_id = neighbours.image_id
    where rank = 1
),

accuracies as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        scheme,
        count(*) as n_query,
        avg(is_right::int) as accuracy,
        count(*) filter (where is_flagged) as n_flagged,
        avg(is_right::int) filter (where is_flagged) as accuracy_flagged,
        avg(is_right::int) filter (where not is_flagged) as accuracy_without,
        avg(is_mirrored_flagged::int) as mirrored_share,
    from nearest
    group by
        cell_key,
        dataset,
        model,
        variant,
        layer,
        scheme
)

select * from accuracies
