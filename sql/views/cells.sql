-- Question: which cells does the lake hold, and which one is current?
-- Grain: cell; per (dataset, model, variant) the current one is the done cell
--   that a sweep asked for last. is_evidence: the claims are judged by it, that
--   is, no control: an original network with trained weights, no phantom, and
--   not one of ours that was taught angles or a control of them
-- Reads: lake.cells, lake.training_runs
-- Params: none
with

all_cells as (
    select * from lake.cells
),

taught as (
    select weights_sha256
    from lake.training_runs
    where arm <> 'onehot' and weights_sha256 is not null
),

trained as (
    select weights_sha256
    from lake.training_runs
    where weights_sha256 is not null
),

newest_first as (
    select
        *,
        row_number() over (
            partition by dataset, model, variant, status
            order by
                selected_at desc,
                committed_at desc,
                cell_key,
        ) as recency,
    from all_cells
),

marked as (
    select
        * exclude (recency),
        status is not distinct from 'done' and recency = 1 as is_current,
        variant = 'original'
            and weights is distinct from 'none'
            and weights is distinct from 'random, seed 0'
            and not starts_with(dataset, 'phantom')
            and coalesce(weights_sha256, '') not in (from taught)
            as is_evidence,
        coalesce(weights_sha256, '') in (from trained) as is_from_training,
    from newest_first
)

select * from marked
