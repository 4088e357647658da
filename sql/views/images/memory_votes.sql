-- Question: which class does the memory vote for?
-- Grain: query image, k (1, 5, 20), scheme, layer, cell (current). Each of the
--   k nearest memory images has one vote; ties go to the class whose best vote
--   is nearest. With fewer than k images in memory all of them vote
-- Reads: neighbours
-- Params: none
-- Columns: k: nearest memory images that have one vote each: 1, 5 or 20;
--   predicted_label: class with the most votes, of equal ones the one whose
--   best vote is nearest
with

nearest as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        scheme,
        image_id,
        label,
        rank,
        memory_label,
    from neighbours
),

ballots as (
    select unnest([1, 5, 20]) as k
),

counted as (
    select
        nearest.cell_key,
        nearest.dataset,
        nearest.model,
        nearest.variant,
        nearest.layer,
        nearest.scheme,
        ballots.k,
        nearest.image_id,
        nearest.label,
        nearest.memory_label,
        count(*) as votes,
        min(nearest.rank) as best_rank,
    from nearest
    inner join ballots
        on nearest.rank <= ballots.k
    group by
        nearest.cell_key,
        nearest.dataset,
        nearest.model,
        nearest.variant,
        nearest.layer,
        nearest.scheme,
        ballots.k,
        nearest.image_id,
        nearest.label,
        nearest.memory_label
),

elected as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        scheme,
        k,
        image_id,
        label,
        arg_max(memory_label, (votes, -best_rank)) as predicted_label,
    from counted
    group by
        cell_key,
        dataset,
        model,
        variant,
        layer,
        scheme,
        k,
        image_id,
        label
)

select * from elected
