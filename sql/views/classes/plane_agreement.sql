-- Question: do classes lean the same way in the image and in the feature plane?
-- Grain: split, layer, cell (current). agreement and permutation_p as in
--   agreements; permutation_q is adjusted over every row of this view
-- Reads: agreements, layers
-- Params: none
-- Columns: agreement: mean over classes of cos(image direction - feature
--   direction); permutation_q: permutation_p after Benjamini-Hochberg over
--   every row of this view
with

tests as (
    select
        cell_key_a as cell_key,
        layer_a as layer,
        split,
        classes,
        agreement,
        permutations,
        smallest_p,
        permutation_p,
    from agreements
    where kind = 'planes'
),

cell_layers as (
    select cell_key, dataset, model, variant, layer from layers
),

named as (
    select
        cell_layers.*,
        tests.* exclude (cell_key, layer),
    from tests
    inner join cell_layers
        on tests.cell_key = cell_layers.cell_key
        and tests.layer = cell_layers.layer
),

adjusted as (
    select * rename (q as permutation_q)
    from benjamini_hochberg(named, permutation_p)
)

select * from adjusted
