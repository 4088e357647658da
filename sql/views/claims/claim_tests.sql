-- Question: what does each rule say of each cell, and of each training?
-- Grain: test of a question of a claim, cell (current) that is evidence; of
--   claim 5 current experiment
-- Reads: cell_tests, model_tests, training_tests
-- Params: none
-- Columns: cell_key: the cell's, or the experiment; dataset: of the cell, or
--   the task; model: of the cell, or the network; bar: smallest effect of
--   interest; estimate: what is compared with it; margin: estimate less what it
--   has to exceed; lacks: variants, or the arm, that the test needs and the
--   lake has not
with

tests as (
    select
        claim,
        question,
        test,
        dataset,
        model,
        cell_key,
        family,
        bar,
        estimate,
        low,
        high,
        margin,
        q,
        state,
        lacks,
        rule,
        is_set_after,
    from cell_tests
    union all by name
    select * from model_tests
    union all by name
    select
        claim,
        question,
        test,
        dataset,
        model,
        cell_key,
        family,
        bar,
        estimate,
        low,
        high,
        margin,
        state,
        lacks,
    from training_tests
)

select * from tests
