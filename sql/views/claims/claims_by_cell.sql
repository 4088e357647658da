-- Question: which claims of the paper hold in each cell, and which are more
--   than their cheapest explanation?
-- Grain: claim, cell (current) that is evidence; of claim 5 current experiment.
--   A question is refuted where one of its tests is, else not tested where one
--   is not, else inconclusive where one is; the verdict takes both questions so
-- Reads: claim_tests, cells, comparable_cells, registered_cells
-- Params: none
-- Columns: is_seen: 'holds', 'refuted', 'inconclusive' or 'not tested': is
--   what the paper describes there?; is_beyond_controls: the same of: is it
--   more than its cheapest explanation gives?; verdict: the same of both;
--   evidence: every test with its figure and bounds; lacks: variants, or arms,
--   that the tests need and the lake has not; todo: the command that runs them,
--   null where nothing is missing; is_registered: a plan with these rules named
--   the cell and every control of it before they were computed, and no test's
--   bar was set after its network or data set had been seen, false for claim 5
with

tests as (
    select
        *,
        format('{}: {}', test, state) || case
            when estimate is null then ''
            else format(
                ' ({:.3f}, {:.3f} to {:.3f}; bar {:.3f})',
                estimate,
                low,
                high,
                estimate - margin
            )
        end as told,
    from claim_tests
),

registered as (
    select
        comparable_cells.cell_key,
        bool_and(registered_cells.is_registered) as are_registered,
        bool_and(registered_cells.is_unseen) as are_unseen,
    from comparable_cells
    inner join registered_cells
        on comparable_cells.control_key = registered_cells.cell_key
    group by comparable_cells.cell_key
),

limits as (
    select
        cell_key,
        image_limit,
        memory,
    from cells
    where is_current
),

states as (
    select
        claim,
        dataset,
        model,
        cell_key,
        family,
        worst_state(list(state) filter (where question = 'seen')) as is_seen,
        worst_state(list(state) filter (where question = 'beyond controls'))
            as is_beyond_controls,
        string_agg(told, '; ' order by rule, question, test) as evidence,
        coalesce(bool_or(is_set_after), false) as is_set_after,
        list_sort(
            list_distinct(
                flatten(
                    list(string_split(lacks, ','))
                        filter (where lacks is not null)
                )
            )
        ) as missing,
    from tests
    group by
        claim,
        dataset,
        model,
        cell_key,
        family
),

judged as (
    select
        states.claim,
        states.dataset,
        states.model,
        states.cell_key,
        states.family,
        states.is_seen,
        states.is_beyond_controls,
        worst_state([states.is_seen, states.is_beyond_controls]) as verdict,
        states.evidence,
        array_to_string(states.missing, ',') as lacks,
        coalesce(
            registered.are_registered
            and (registered.are_unseen or not states.is_set_after),
            false
        ) as is_registered,
        limits.image_limit,
        limits.memory,
    from states
    left join limits
        on states.cell_key = limits.cell_key
    left join registered
        on states.cell_key = registered.cell_key
),

advised as (
    select
        * exclude (image_limit, memory),
        case
            when lacks is not null
                then control_command(
                    claim, model, dataset, lacks, image_limit, memory
                )
        end as todo,
    from judged
)

select * from advised
