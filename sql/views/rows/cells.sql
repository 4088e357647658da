-- Question: which cells does the lake hold, and which one is current?
-- Grain: cell; per (dataset, model, variant) the current one is the done cell
--   that a sweep asked for last. is_evidence: the claims are judged by it, that
--   is, no control: an original network whose weights were trained for classes
--   and nothing else, no phantom or placed data set, and not is_repeated: the
--   same network (of one architecture, weights and preprocessing) under another
--   id counts once
-- Reads: lake.cells, lake.training_runs
-- Params: none
-- Columns: is_current: the done cell of its dataset, model and variant that a
--   sweep asked for last; is_evidence: the claims are judged by the cell:
--   variant 'original', objective 'onehot', not is_planted, not is_repeated;
--   is_planted: angles or places of the data set were drawn (phantom, placed);
--   is_repeated: a current cell of the same dataset and variant has the same
--   network under an id before this one; is_from_training: the weights are
--   those of a training run of this lake
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
        coalesce(weights_sha256, '') in (from trained) as is_from_training,
    from newest_first
),

recognised as (
    select
        *,
        is_current
            and architecture is not null
            and row_number() over (
                partition by
                    dataset,
                    variant,
                    is_current,
                    architecture,
                    preprocessing,
                    coalesce(weights_sha256, weights)
                order by model
            ) > 1 as is_repeated,
    from marked
),

judged as (
    select
        *,
        starts_with(dataset, 'phantom')
            or starts_with(dataset || '_', 'placed_') as is_planted,
        variant = 'original'
            and objective is not distinct from 'onehot'
            and not is_planted
            and not is_repeated
            as is_evidence,
    from recognised
)

select * from judged
