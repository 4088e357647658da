-- Question: what does each rule say of each cell?
-- Grain: test of claim_rules, cell (current) that is evidence. A test whose
--   control is missing, or whose figure is not known, is 'not tested'. Another
--   padding refutes nothing where it broke the network, which then names fewer
--   classes by 5 points than as it was built, or by a quarter of what it names
--   above chance (its head; where that has none of the classes, the pooled
--   memory). What both planes do at once holds only
--   where classes surely lean in each of them
-- Reads: cells, claim_rules, comparable_cells, cell_figures, population,
--   family_tests, memory_report, layers
-- Params: none
-- Columns: estimate: the figure, or how far it exceeds the mean over random
--   weights; low: its one-sided 95 % lower bound; high: its upper bound;
--   margin: estimate less what it has to exceed: the bar, or where that is
--   more, population.bound less the mean over random weights; q: of the test's
--   family, null where none is asked; state: 'holds', 'refuted', 'inconclusive'
--   or 'not tested'; lacks: variants whose cells the test needs and the lake
--   has not, 'population' for random weights
with

evidence as (
    select cell_key, dataset, model, family
    from cells
    where is_current
        and is_evidence
),

rules as (
    select
        *,
        starts_with(variant, 'pad-') as is_padded,
        case when variant = 'pad-circular' then 'circular' else '' end
            as padding,
    from claim_rules
),

controls_of_cells as (
    select cell_key, variant, control_key from comparable_cells
),

figures_of_cells as (
    select
        cell_key,
        figure,
        estimate,
        se,
        t_quantile_95(dof) as quantile,
    from cell_figures
),

random_weights as (
    select
        cell_key,
        padding,
        figure,
        seeds,
        mean,
        sd,
        bound,
    from population
),

adjusted as (
    select cell_key, question as family_test, q
    from family_tests
    where cell_key_b is null
),

accuracies as (
    select
        memory_report.cell_key,
        coalesce(memory_report.head_accuracy, memory_report.accuracy)
            as accuracy,
        coalesce(memory_report.chance, 0) as chance,
    from memory_report
    inner join layers
        on memory_report.cell_key = layers.cell_key
        and memory_report.layer = layers.layer
        and layers.is_bottleneck
    where memory_report.scheme = 'pooled'
        and memory_report.k = 1
        and memory_report.split = 'query'
),

asked as (
    select
        evidence.*,
        rules.*,
        subject.control_key,
        figures_of_cells.figure is not null as is_measured,
        figures_of_cells.estimate as value,
        figures_of_cells.se as value_se,
        figures_of_cells.quantile,
        random_weights.seeds,
        random_weights.mean,
        random_weights.sd,
        random_weights.bound,
        adjusted.q,
        built.accuracy - padded.accuracy as accuracy_lost,
        least(0.05, 0.25 * (built.accuracy - built.chance)) as loss_allowed,
    from evidence
    cross join rules
    left join controls_of_cells as subject
        on evidence.cell_key = subject.cell_key
        and rules.variant = subject.variant
    left join figures_of_cells
        on subject.control_key = figures_of_cells.cell_key
        and rules.figure = figures_of_cells.figure
    left join random_weights
        on evidence.cell_key = random_weights.cell_key
        and rules.figure = random_weights.figure
        and rules.padding = random_weights.padding
    left join adjusted
        on evidence.cell_key = adjusted.cell_key
        and rules.family_test = adjusted.family_test
    left join accuracies as built
        on evidence.cell_key = built.cell_key
        and rules.is_padded
    left join accuracies as padded
        on subject.control_key = padded.cell_key
),

measured as (
    select
        *,
        against = 'random weights' as is_relative,
        case when is_relative then value - mean else value end as estimate,
        case
            when is_relative then sqrt(value_se ** 2 + sd ** 2 / seeds)
            else value_se
        end as se,
        estimate - quantile * se as low,
        estimate + quantile * se as high,
        case when is_relative then greatest(bar, bound - mean) else bar end
            as to_exceed,
        concat_ws(
            ',',
            case when control_key is null then variant end,
            case
                when is_relative and coalesce(seeds, 0) < 20
                    then 'population'
            end
        ) as missing,
    from asked
),

compared as (
    select
        *,
        case
            when missing <> '' or not is_measured then 'not tested'
            when estimate is null then 'inconclusive'
            when is_relative and estimate <= to_exceed and low > bar
                then 'inconclusive'
            else state_of(low, high, bar)
        end as bare_state,
        case
            when bare_state = 'holds' and family_test is not null
                then coalesce(q < 0.01, false)
            when bare_state = 'refuted' and is_padded
                then coalesce(accuracy_lost <= loss_allowed, false)
            else true
        end as is_sure,
        case when is_sure then bare_state else 'inconclusive' end
            as own_state,
    from measured
),

joined as (
    select
        *,
        bool_and(own_state = 'holds') filter (
            where question = 'seen' and starts_with(figure, 'effect, ')
        ) over (partition by cell_key) as classes_lean,
        figure in ('agreement', 'joint effect') as is_joint,
    from compared
),

judged as (
    select
        claim,
        question,
        rule,
        test,
        dataset,
        model,
        cell_key,
        family,
        figure,
        variant,
        against,
        bar,
        estimate,
        low,
        high,
        estimate - to_exceed as margin,
        q,
        case
            when is_joint and own_state = 'holds' and not classes_lean
                then 'inconclusive'
            else own_state
        end as state,
        nullif(missing, '') as lacks,
        is_set_after,
    from joined
)

select * from judged
