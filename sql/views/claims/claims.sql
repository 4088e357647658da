-- Question: which claims of arXiv 2206.02220 hold, and are they more than their
--   cheapest explanation?
-- Grain: claim (five rows). Each test of claim_tests is taken over families of
--   networks x data sets (by their pictures): it holds where the 95 % interval
--   of the mean margin lies above 0 and most cells pass, is refuted where it
--   lies below and most cells refute it, and is inconclusive else, below three
--   families x three data sets always. Of claim 5 it is taken over tasks:
--   all have to hold, any can refute it. Cells that lack a control are left out
--   of its test, and counted
-- Reads: claim_tests, claims_by_cell, cells
-- Params: none
-- Columns: statement: the claim in words; is_seen: 'holds', 'refuted',
--   'inconclusive' or 'not tested': is what the paper describes there, over
--   families of networks x data sets?; is_beyond_controls: the same of: is it
--   more than its cheapest explanation gives, over families of networks x data
--   sets?; verdict: refuted where either is, else not tested, else
--   inconclusive, else 'holds'; evidence: how many cells say what, and over how
--   many families and data sets; caveat: the tests that the fewest cells pass,
--   and what is left out, null where nothing is; cells: that are evidence, or
--   experiments; cells_left_out: of these, with a test that lacks its control;
--   families: of networks, the most that a test is taken over; datasets: the
--   same, tasks for claim 5; todo: the command that runs what is missing, null
--   where nothing is; is_registered: the verdicts of all cells are
with

statements as (
    select *
    from (
        values
            (
                1::bigint,
                'Information concentrates about the principal ray: the image '
                || 'centre and the medial vector'
            ),
            (
                2,
                'Bottleneck energy is concentrated and symmetric about the '
                || 'origin, a Sombrero potential'
            ),
            (
                3,
                'Classes have a consistent bias towards an angle theta, in '
                || 'the image plane and in feature space at once'
            ),
            (4, 'A bare-bones memory-based classifier shows the bias'),
            (
                5,
                'Training with U(1) class labels improves classification in '
                || 'all tasks'
            )
    ) as listed(claim, statement)
),

tests as (
    select
        claim_tests.*,
        concat_ws('|', claim_tests.claim, question, test) as item,
        case when state <> 'not tested' then margin end as value,
    from claim_tests
),

settings as (
    select
        cell_key,
        dataset_fingerprint,
        image_limit,
        coalesce(memory, 'official') as memory,
    from cells
    where is_current
),

-- A data set is what its pictures are, whatever it is called.
witnesses as (
    select
        tests.item,
        tests.family,
        coalesce(settings.dataset_fingerprint, tests.dataset) as dataset,
        tests.value,
    from tests
    left join settings
        on tests.cell_key = settings.cell_key
),

families as (
    select
        item,
        families,
        datasets,
        ci_low,
        ci_high,
    from two_way_means(witnesses)
),

by_test as (
    select
        tests.item,
        tests.claim,
        tests.question,
        tests.test,
        any_value(families.families) as families,
        any_value(families.datasets) as datasets,
        case
            when tests.claim = 5 then worst_state(list(tests.state))
            when count_if(tests.state <> 'not tested') = 0 then 'not tested'
            when any_value(families.ci_low) > 0
                and 2 * count_if(tests.state = 'holds')
                > count_if(tests.state <> 'not tested')
                then 'holds'
            when any_value(families.ci_high) < 0
                and 2 * count_if(tests.state = 'refuted')
                > count_if(tests.state <> 'not tested')
                then 'refuted'
            else 'inconclusive'
        end as state,
        count(*) as cells,
        count_if(tests.state = 'holds') as holding,
        count_if(tests.lacks is not null) as lacking,
    from tests
    left join families
        on tests.item = families.item
    group by
        tests.item,
        tests.claim,
        tests.question,
        tests.test
),

by_claim as (
    select
        claim,
        worst_state(list(state) filter (where question = 'seen')) as is_seen,
        worst_state(list(state) filter (where question = 'beyond controls'))
            as is_beyond_controls,
        max(families) as families,
        max(datasets) as datasets,
        max(lacking) as cells_left_out,
    from by_test
    group by claim
),

cell_states as (
    select
        claim,
        count(*) as cells,
        counted_states(list(is_seen)) as seen_told,
        counted_states(list(is_beyond_controls)) as beyond_told,
        count(distinct dataset) as tasks,
        bool_and(is_registered) as is_registered,
    from claims_by_cell
    group by claim
),

missing as (
    select
        tests.claim,
        string_agg(distinct tests.model, ',' order by tests.model) as models,
        string_agg(distinct tests.dataset, ',' order by tests.dataset)
            as datasets,
        array_to_string(
            list_sort(
                list_distinct(flatten(list(string_split(tests.lacks, ','))))
            ),
            ','
        ) as lacks,
        mode(settings.image_limit) as image_limit,
        mode(settings.memory) as memory,
    from tests
    left join settings
        on tests.cell_key = settings.cell_key
    where tests.lacks is not null
    group by tests.claim
),

weakest as (
    select
        claim,
        list(
            format('{} ({} of {} cells)', test, holding, cells - lacking)
            order by holding / (cells - lacking), item
        ) as told,
    from by_test
    where holding < cells - lacking
    group by claim
),

judged as (
    select
        statements.claim,
        statements.statement,
        coalesce(by_claim.is_seen, 'not tested') as is_seen,
        coalesce(by_claim.is_beyond_controls, 'not tested')
            as is_beyond_controls,
        worst_state([
            coalesce(by_claim.is_seen, 'not tested'),
            coalesce(by_claim.is_beyond_controls, 'not tested')
        ]) as verdict,
        case
            when by_claim.claim is null and statements.claim = 5
                then 'The lake holds no training runs.'
            when by_claim.claim is null
                then 'The lake holds no evidence, only controls.'
            else format(
                'Seen: {}. Beyond its controls: {}.',
                cell_states.seen_told,
                cell_states.beyond_told
            ) || case
                when statements.claim = 5 then ''
                when coalesce(by_claim.families, 0) < 3
                    or coalesce(by_claim.datasets, 0) < 3
                    then format(
                        ' Families of networks x data sets: {} x {}, too few '
                        || 'to say more than of these cells.',
                        coalesce(by_claim.families, 0),
                        coalesce(by_claim.datasets, 0)
                    )
                else format(
                    ' Families of networks x data sets: {} x {}.',
                    by_claim.families,
                    by_claim.datasets
                )
            end
        end as evidence,
        nullif(
            concat_ws(
                ' ',
                format(
                    'Fewest cells pass: {}{}.',
                    array_to_string(weakest.told[:3], ', '),
                    case
                        when len(weakest.told) > 3
                            then format(
                                ', and {} more tests that not all pass',
                                len(weakest.told) - 3
                            )
                        else ''
                    end
                ),
                case
                    when by_claim.cells_left_out > 0
                        then format(
                            '{} of {} cells lack a control ({}) and are left '
                            || 'out of its test.',
                            by_claim.cells_left_out,
                            cell_states.cells,
                            missing.lacks
                        )
                end
            ),
            ''
        ) as caveat,
        coalesce(cell_states.cells, 0) as cells,
        coalesce(by_claim.cells_left_out, 0) as cells_left_out,
        coalesce(by_claim.families, 0) as families,
        coalesce(by_claim.datasets, cell_states.tasks, 0) as datasets,
        control_command(
            statements.claim,
            missing.models,
            missing.datasets,
            missing.lacks,
            missing.image_limit,
            missing.memory
        ) as todo,
        coalesce(cell_states.is_registered, false) as is_registered,
    from statements
    left join by_claim
        on statements.claim = by_claim.claim
    left join cell_states
        on statements.claim = cell_states.claim
    left join missing
        on statements.claim = missing.claim
    left join weakest
        on statements.claim = weakest.claim
)

select * from judged
order by claim
