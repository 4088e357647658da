-- Question: does a figure with an error hold, is it refuted, or can it not be
--   told?
-- Grain: macros; states are 'holds', 'refuted', 'inconclusive' and 'not tested'
-- Reads: nothing
-- Params: none

-- Quantile of Student's t from that of the normal distribution, z, by the
-- expansion of Abramowitz & Stegun 26.7.5: within 1e-3 up to 99.9 % from nine
-- degrees of freedom on. Null below nine.
-- Example: t_expansion(0, 9) = 0
create macro t_expansion(z, dof) as
    case
        when dof >= 9
            then z
                + (z ** 3 + z) / (4 * dof)
                + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * dof ** 2)
                + (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z)
                / (384 * dof ** 3)
                + (
                    79 * z ** 9 + 776 * z ** 7 + 1482 * z ** 5 - 1920 * z ** 3
                    - 945 * z
                ) / (92160 * dof ** 4)
    end;

-- One-sided 95 % quantile of Student's t with whole degrees of freedom; of the
-- normal distribution where they are infinite. Below ten the values are R's
-- qt(0.95, dof). Null below one.
-- Example: t_quantile_95(1) = 6.3137515146750
create macro t_quantile_95(dof) as
    case
        when dof < 1 then null
        when dof < 10
            then [
                6.3137515146750,
                2.9199855803537,
                2.3533634348018,
                2.1318467863267,
                2.0150483733331,
                1.9431802805153,
                1.8945786050900,
                1.8595480375309,
                1.8331129326562
            ][dof::integer]
        else t_expansion(1.6448536269515, dof)
    end;

-- What one more draw of a population exceeds once in a hundred times, of which
-- n draws have this mean and standard deviation: mean + t_99 sd sqrt(1 + 1 / n)
-- (Hahn & Meeker 1991, section 4.7); 2.60 sd above the mean at twenty. Null
-- below ten draws.
-- Example: next_draw_bound(20, 1, 0) = 1
create macro next_draw_bound(n, mean, standard_deviation) as
    mean
    + t_expansion(2.3263478740408, n - 1) * standard_deviation
    * sqrt(1 + 1.0 / n);

-- Equivalence by two one-sided bounds (Schuirmann 1987): what may be as large
-- as the smallest effect of interest is not refuted, what may be as small is
-- not shown. Not tested where a bound is unknown.
-- Example: state_of(0.2, 0.4, 0.1) = 'holds'
create macro state_of(low, high, smallest) as
    case
        when not coalesce(
            abs(low) < 'infinity'::double and abs(high) < 'infinity'::double,
            false
        )
            then 'not tested'
        when low > smallest then 'holds'
        when high < smallest then 'refuted'
        else 'inconclusive'
    end;

-- What all of several states come to. One that is refuted refutes them all,
-- one that is missing leaves the rest open.
-- Example: worst_state(['holds', 'not tested', 'refuted']) = 'refuted'
create macro worst_state(states) as
    case
        when list_contains(states, 'refuted') then 'refuted'
        when list_contains(states, 'not tested')
            or coalesce(len(list_filter(states, lambda s: s <> '')), 0) = 0
            or len(list_filter(states, lambda s: s is null)) > 0
            then 'not tested'
        when list_contains(states, 'inconclusive') then 'inconclusive'
        else 'holds'
    end;

-- The command that runs what a verdict lacks: variants of these models on these
-- data sets, or arms of training these networks; names with commas between.
-- Example: control_command(1, 'net', 'digits', 'population', 100, 'official') =
--   'u1 sweep --models net --datasets digits --variants population --limit 100'
create macro control_command(
    claim, models, datasets, missing, images, memory
) as
    case
        when claim = 5
            then format(
                'u1 train --tasks {} --network {} --arms onehot,onehot+u1,{} '
                || '--seeds 10',
                datasets,
                models,
                missing
            )
        else format(
            'u1 sweep --models {} --datasets {} --variants {}',
            models,
            datasets,
            missing
        )
        || coalesce(format(' --limit {}', images), '')
        || case when memory = 'held-out' then ' --memory held-out' else '' end
    end;

-- How many of several states are what, in words.
-- Example: counted_states(['holds', 'refuted', 'holds']) =
--   'holds in 2, refuted in 1 of 3 cells'
create macro counted_states(states) as
    concat_ws(
        ', ',
        case
            when list_contains(states, 'holds')
                then 'holds in '
                || len(list_filter(states, lambda s: s = 'holds'))
        end,
        case
            when list_contains(states, 'refuted')
                then 'refuted in '
                || len(list_filter(states, lambda s: s = 'refuted'))
        end,
        case
            when list_contains(states, 'inconclusive')
                then 'inconclusive in '
                || len(list_filter(states, lambda s: s = 'inconclusive'))
        end,
        case
            when list_contains(states, 'not tested')
                then 'not tested in '
                || len(list_filter(states, lambda s: s = 'not tested'))
        end
    ) || format(' of {} cells', len(states));
