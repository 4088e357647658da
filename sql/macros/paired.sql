-- Question: what do a few paired differences say?
-- Grain: macros; differences are lists, one entry per pair
-- Reads: nothing
-- Params: none

-- 97.5 % quantile of Student's t with 1, 2, ... degrees of freedom. From 10 on
-- the expansion about the normal quantile (Abramowitz & Stegun 26.7.5) is
-- within 1e-5; below, the values are R's qt(0.975, dof). Null without any.
-- Example: t_quantile_975(2) = 4.3026527297495
create macro t_quantile_975(dof) as
    case
        when dof < 1 or dof > 'infinity'::double then null
        when dof < 10
            then [
                12.7062047361747,
                4.3026527297495,
                3.1824463052837,
                2.7764451051978,
                2.5705818356363,
                2.4469118511450,
                2.3646242515928,
                2.3060041352042,
                2.2621571627982
            ][dof::integer]
        else 1.9599639845401
            + 2.3722712302986 / dof
            + 2.8224985157396 / dof ** 2
            + 2.5558496796774 / dof ** 3
            + 1.5895340533938 / dof ** 4
    end;

-- Half width of the 95 % t-interval of a mean; null for one value.
-- Example: mean_half_width(4, 2) = t_quantile_975(3)
create macro mean_half_width(n, standard_deviation) as
    t_quantile_975(n - 1) * standard_deviation / sqrt(n);

-- Ways to flip signs, the one that was seen left out: all of them up to 15
-- pairs, 9,999 drawn ones beyond.
-- Example: flip_count(3) = 7
create macro flip_count(n) as
    case
        when n between 0 and 15 then (2 ** n)::bigint - 1
        when n > 15 and n < 'infinity'::double then 9999
    end;

-- Is the sign of a pair (from 1) turned by this flip (from 1)? By the bits of
-- its number, or drawn by md5, so that it is the same on every machine.
-- Example: is_turned(5, 2, 3) = false
create macro is_turned(flip, pair, n) as
    case
        when n <= 15 then (flip >> (pair - 1)) & 1 = 1
        when n > 15 then md5_number_lower(concat(flip, ':', pair)) % 2 = 1
    end;

-- Example: flipped_sum([1, 2, 4], 5) = -1 + 2 - 4
create macro flipped_sum(differences, flip) as
    list_sum(
        list_transform(
            differences,
            lambda difference, pair:
                case
                    when is_turned(flip, pair, len(differences))
                        then -difference
                    else difference
                end
        )
    );

-- Sum of the sizes of differences; 1 where all of them are 0.
-- Example: size_of([1, -2, 4]) = 7
create macro size_of(differences) as
    coalesce(
        nullif(
            list_sum(
                list_transform(differences, lambda difference: abs(difference))
            ),
            0
        ),
        1
    );

-- One-sided sign-flip permutation p of paired differences, exact up to 15 pairs
-- (Fisher 1935, section 21): the share of sign patterns whose sum is at least
-- the one seen. With n pairs it is never below 2^-n. Null without pairs.
-- Sums are compared in units of the sum of all sizes: no unit changes p.
-- Example: sign_flip_p([1, 2, 4]) = 1 / 8
create macro sign_flip_p(differences) as
    case
        when len(differences) > 0
            then exceedance_p(
                list_transform(
                    range(1, flip_count(len(differences)) + 1),
                    lambda flip:
                        flipped_sum(differences, flip)
                        / size_of(differences)
                ),
                list_sum(differences) / size_of(differences)
            )
    end;

-- Pairs that a two-sided t-test at 5 % needs to see a mean difference with 80 %
-- power: (z_.975 + z_.8)^2 sd^2 / difference^2 + z_.975^2 / 2, so at least 2
-- (Guenther 1981). Null where no number is enough: without a difference.
-- Example: pairs_needed(1, 1) = 10
create macro pairs_needed(standard_deviation, difference) as
    case
        when abs(standard_deviation / difference) < 1e9
            then ceil(
                7.8488797343549 * (standard_deviation / difference) ** 2
                + 1.9207294103471
            )::bigint
    end;

-- 97.5 % quantile of Student's t between whole degrees of freedom: linear in
-- 1 / dof, never too small and within 2 % from 2 on. Null below one.
-- Example: t_quantile_975_between(4) = t_quantile_975(4)
create macro t_quantile_975_between(dof) as
    case
        when dof >= 10 or dof = floor(dof)
            then t_quantile_975(dof)
        when dof >= 1
            then t_quantile_975(floor(dof))
                + (t_quantile_975(floor(dof) + 1) - t_quantile_975(floor(dof)))
                * (1 / floor(dof) - 1 / dof)
                * floor(dof) * (floor(dof) + 1)
    end;

-- Means over families of networks x data sets of a relation with columns item,
-- family, dataset and value, one row per item, with 95 % t-intervals, families
-- and data sets taken as drawn from many. Cells of one family and data set are
-- one witness, their mean; data sets of fewer than three families (where others
-- have more), families that lack one of the rest, and cells without a family
-- are left out. The variance of the mean is (MS_F + MS_D - MS_E) / (F
-- D), its degrees of freedom are Satterthwaite's (1946); at least the larger of
-- MS_F and MS_D is taken, and one degree less than the smaller side has: where
-- neither matters the difference falls below 0 by chance. No interval below
-- 3 x 3.
-- Example: (with c as (
--   select 1 as item, 'f' as family, 'd' as dataset, 2.0 as value)
--   select mean from two_way_means(c)) = 2
create macro two_way_means(relation) as table (
    with

    known as (
        select
            item,
            family,
            dataset,
            avg(value) as value,
        from query_table(relation)
        where family is not null
            and value <= 'infinity'::double
        group by
            item,
            family,
            dataset
    ),

    counted as (
        select
            *,
            count(*) over (partition by item, dataset) as witnesses,
        from known
    ),

    shared as (
        select * exclude (witnesses)
        from counted
        qualify witnesses >= least(3, max(witnesses) over (partition by item))
    ),

    data_sets as (
        select
            item,
            count(distinct dataset) as data_sets,
        from shared
        group by item
    ),

    crossed as (
        select shared.*
        from shared
        inner join data_sets
            using (item)
        qualify count(*) over (partition by item, family)
            = data_sets.data_sets
    ),

    deviations as (
        select
            *,
            avg(value) over (partition by item) as mean,
            avg(value) over (partition by item, family) - mean as of_family,
            avg(value) over (partition by item, dataset) - mean
                as of_dataset,
        from crossed
    ),

    sums as (
        select
            item,
            count(distinct family) as families,
            count(distinct dataset) as datasets,
            count(*) as n,
            any_value(mean) as mean,
            sum(of_family ** 2) as family_sum,
            sum(of_dataset ** 2) as dataset_sum,
            sum((value - mean - of_family - of_dataset) ** 2) as rest_sum,
        from deviations
        group by item
    ),

    squares as (
        select
            *,
            family_sum / nullif(families - 1, 0) as family_square,
            dataset_sum / nullif(datasets - 1, 0) as dataset_square,
            rest_sum / nullif((families - 1) * (datasets - 1), 0)
                as rest_square,
            greatest(
                family_square + dataset_square - rest_square,
                family_square,
                dataset_square
            ) as mean_square,
        from sums
    ),

    freedom as (
        select
            *,
            case
                when families >= 3 and datasets >= 3
                    then greatest(
                        least(families, datasets) - 1,
                        least(
                            n - 1,
                            mean_square ** 2 / nullif(
                                family_square ** 2 / (families - 1)
                                + dataset_square ** 2 / (datasets - 1)
                                + rest_square ** 2
                                / ((families - 1) * (datasets - 1)),
                                0
                            )
                        )
                    )
            end as dof,
        from squares
    ),

    bounded as (
        select
            item,
            families,
            datasets,
            mean,
            dof,
            mean - t_quantile_975_between(dof) * sqrt(mean_square / n)
                as ci_low,
            mean + t_quantile_975_between(dof) * sqrt(mean_square / n)
                as ci_high,
        from freedom
    )

    select * from bounded
);
