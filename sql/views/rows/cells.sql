-- Question: which cells does the lake hold, and which one is current?
-- Grain: cell; per (dataset, model, variant) the current one is the done cell
--   that a sweep asked for last. is_evidence: the claims are judged by it, that
--   is, no control: an original network whose weights were trained for classes
--   and nothing else, and no phantom
-- Reads: lake.cells, lake.training_runs
-- Params: none
-- Columns: is_current: the done cell of its dataset, model and variant that a
--   sweep asked for last; is_evidence: the claims are judged by the cell:
--   variant 'original', objective 'onehot', no phantom; is_from_training: the
--   weights are those of a training run of this lake
with

all_cells as (
    select * from lake.cells
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
            and objective is not distinct from 'onehot'
            and not starts_with(dataset, 'phantom')
            as is_evidence,
        coalesce(weights_sha256, '') in (from trained) as is_from_training,
    from newest_first
)

select * from marked
