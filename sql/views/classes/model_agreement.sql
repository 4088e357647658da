-- Question: do two models lean the same way, class by class, at their
--   bottlenecks?
-- Grain: pair of (model, variant), split, plane, dataset; a before b in the
--   alphabet; both of one variant, or originals against random-init. agreement
--   and permutation_p as in agreements; permutation_q is adjusted over every
--   row of this view; is_evidence: both cells are
-- Reads: agreements, layers
-- Params: none
-- Columns: plane: 'image' or 'feature'; model_a: model id of side a; variant_a:
--   variant of side a; model_b: model id of side b; variant_b: variant of side
--   b; is_evidence: the claims are judged by both cells; permutation_q:
--   permutation_p after Benjamini-Hochberg over every row of this view
with

tests as (
    select
        cell_key_a,
        layer_a,
        plane_a,
        cell_key_b,
        layer_b,
        plane_b,
        split,
        classes,
        agreement,
        permutations,
        smallest_p,
        permutation_p,
    from agreements
    where kind = 'models'
),

cell_layers as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        is_evidence,
    from layers
),

named as (
    select
        a.dataset,
        tests.plane_a as plane,
        tests.split,
        a.model as model_a,
        a.variant as variant_a,
        tests.layer_a,
        tests.cell_key_a,
        b.model as model_b,
        b.variant as variant_b,
        tests.layer_b,
        tests.cell_key_b,
        tests.classes,
        tests.agreement,
        tests.permutations,
        tests.smallest_p,
        tests.permutation_p,
        a.is_evidence and b.is_evidence as is_evidence,
    from tests
    inner join cell_layers as a
        on tests.cell_key_a = a.cell_key
        and tests.layer_a = a.layer
    inner join cell_layers as b
        on tests.cell_key_b = b.cell_key
        and tests.layer_b = b.layer
),

adjusted as (
    select * rename (q as permutation_q)
    from benjamini_hochberg(named, permutation_p)
)

select * from adjusted
