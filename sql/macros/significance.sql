-- Question: how likely is a figure under its null hypothesis?
-- Grain: macros; every p and q lies in [0, 1] or is null
-- Reads: nothing
-- Params: none

-- Rayleigh test of uniformity. Zar 1999, eq. 27.4 (CircStat's form):
-- exp(sqrt(1 + 4n + 4(n^2 - Rn^2)) - (1 + 2n)), Rn = n R, rationalised so that
-- large n does not cancel. The rival is astropy's series (Wilkie 1983). Null
-- where R is no share.
-- Example: rayleigh_p(1, 1) = exp(sqrt(5) - 3)
create macro rayleigh_p(n, resultant_length) as
    case
        when n between 0 and 1e150 and resultant_length between 0 and 1
            then exp(
                -4 * (n * resultant_length) ** 2
                / (
                    sqrt(
                        greatest(
                            0.0,
                            (1 + 2 * n) ** 2 - 4 * (n * resultant_length) ** 2
                        )
                    )
                    + 1 + 2 * n
                )
            )
    end;

-- Upper tail of chi-square with an even number of degrees of freedom, > 0:
-- exp(-w/2) sum_{j < dof/2} (w/2)^j / j! (Abramowitz & Stegun 26.4.21). Each
-- term is a Poisson probability taken from its logarithm, so nothing overflows
-- and p goes to 0 quietly, for an infinite w too. Null for odd or no degrees of
-- freedom.
-- Example: chi2_sf_even(2, 4) = 2 * exp(-1)
create macro chi2_sf_even(w, dof) as
    case
        when w is null or w > 'infinity'::double
            or dof is null or dof < 2 or dof % 2 <> 0
            then null
        when w < 1e-300
            then 1.0
        when w = 'infinity'::double
            then 0.0
        else least(
            1.0,
            list_sum(
                list_transform(
                    range(0, (dof // 2)::bigint),
                    lambda j:
                        exp(j * ln(w / 2) - lgamma(j + 1.0) - w / 2)
                )
            )
        )
    end;

-- Rank of x in its group, from 1 (window): the least and the greatest of equal
-- values, and the mean of both, which ties get. One sort serves all: the
-- running count includes ties, the rank does not. What is null or NaN stands
-- behind all others and has none.
-- Example: least_rank(x, true) for each x in [3, 5, 5] = [1, 2, 2]
create macro least_rank(x, grouping) as
    case
        when x <= 'infinity'::double
            then rank() over (partition by grouping order by x)
    end;

-- Example: greatest_rank(x, true) for each x in [3, 5, 5] = [1, 3, 3]
create macro greatest_rank(x, grouping) as
    case
        when x <= 'infinity'::double
            then count(*) over (partition by grouping order by x)
    end;

-- Example: average_rank(x, true) for each x in [3, 5, 5] = [1, 2.5, 2.5]
create macro average_rank(x, grouping) as
    (least_rank(x, grouping) + greatest_rank(x, grouping)) / 2.0;

-- How tied n ranks are: sum(t^3 - t) / (n^3 - n) over groups of t equal values
-- (Kruskal & Wallis 1952); tied is the sum of t^2 - 1 over values. 0 without
-- ties, 1 when all are equal, near 1 / m^2 for m equal groups.
-- Example: tie_share(3, 24) = 1
create macro tie_share(n, tied) as
    case
        when n > 1
            then tied / (n * (n - 1) * (n + 1))
    end;

-- May the chi-square tail of the uniform scores test be believed? Its size is
-- within a seventh of 0.05 and of 0.01 from 20 images in the smallest class,
-- and too small below; above 5,000 images it is taken with small classes too,
-- where it errs on the side of no bias. One group of equal angles shifts the
-- mean score off 0 and so raises W by about 5 n tie_share^2 however the classes
-- lie: at most 0.06 here.
-- Example: mww_tail_is_trusted(100, 19, 0) = false
create macro mww_tail_is_trusted(n, smallest_class, tie_share) as
    abs(tie_share) * sqrt(n) <= 0.1
    and (smallest_class between 20 and n or n > 5000);

-- Mean of W when labels are dealt at random to n fixed uniform scores, exact
-- for any class sizes: each class has E|S_k|^2 = n_k + n_k (n_k - 1) (T^2 / n -
-- 1) / (n - 1), T the resultant of all scores. Without ties T is 0 and this is
-- 2 (K - 1) n / (n - 1).
-- Example: mww_null_mean(4, 2, 0) = 8 / 3
create macro mww_null_mean(n, classes, resultant_square) as
    case
        when n > 1
            then 2 * (
                classes
                + (n - classes) * (resultant_square / n - 1) / (n - 1)
            )
    end;

-- Variance of W when labels are dealt at random, exact without ties for any
-- class sizes (fourth moments of n equispaced points drawn without
-- replacement); reciprocals is the sum of 1 / n_k. Equal classes have
-- 4 (K - 1) n (n - K) / (n - 1)^2, which is chi-square's 4 (K - 1) for large n.
-- Example: mww_null_variance(4, 2, 1) = 32 / 9
create macro mww_null_variance(n, classes, reciprocals) as
    case
        when n > 2
            then 4.0 * n * (
                n * (n - 1.0) * (classes - 1 - reciprocals)
                + n + classes * (classes - 2.0)
            ) / ((n - 2.0) * (n - 1.0) ** 2)
    end;

-- The largest W / (2 n) that ranks allow: a class of a share p of the images
-- fills at best an arc of 2 pi p, whose resultant length is sin(pi p) / (pi p).
-- From ten classes on it is taken for 1 (0.967 and more for equal ones).
-- Example: mww_ceiling([5, 5], 10) = (2 / pi()) ** 2
create macro mww_ceiling(class_sizes, n) as
    case
        when not (n < 'infinity'::double)
            or len(list_filter(class_sizes, lambda size: size between 1 and n))
                < len(class_sizes)
            then null
        when len(class_sizes) >= 10
            then 1.0
        else list_sum(
            list_transform(
                class_sizes,
                lambda size:
                    n / (size * pi() ** 2) * sin(pi() * size / n) ** 2
            )
        )
    end;

-- Share of null values at least as high as what was seen, which counts as one
-- of them (Davison & Hinkley 1997, section 4.2). Null where one is NaN, or what
-- was seen is not finite.
-- Example: exceedance_p([1, 2, 3], 2) = 3 / 4
create macro exceedance_p(null_values, seen) as
    case
        when abs(seen) < 'infinity'::double
            and coalesce(list_max(null_values), 0) <= 'infinity'::double
            then (
                1 + len(null_values)
                - len(
                    list_filter(
                        null_values, lambda value: value < seen - 1e-9
                    )
                )
            ) / (1 + len(null_values))
    end;

-- The smallest p that so many draws among so many orders can give: what was
-- seen counts as one of the draws, and as many of them are it as chance has it.
-- Example: smallest_p(9999, 24) = 1 / 24
create macro smallest_p(draws, orders) as
    case
        when draws >= 0 and orders >= 1
            then greatest(1.0 / (1 + draws), 1.0 / orders)
    end;

-- A permutation p, to be compared with a level: null where the smallest p that
-- could have come lies above the level, or the draws are too few to tell p from
-- it: at p = level the standard error of p is a tenth of it from 100 / level -
-- 1 draws on, 9,999 for 0.01.
-- Example: resolved_p(0.3, 9999, 0.0001, 0.01) = 0.3
create macro resolved_p(p, draws, smallest, level) as
    case
        when p <= 'infinity'::double
            and level > 0
            and level < 1
            and smallest > 0
            and smallest <= level
            and draws >= round(100 / level) - 1
            and draws < 'infinity'::double
            then p
    end;

-- The rows of a relation with q (Benjamini & Hochberg 1995): the smallest
-- p m / rank at this p or above, m and ranks over all rows with a p. NaN is
-- none.
-- Example: (with tests as (select unnest([0.01, 0.03, 0.04]) as p)
--   select list(q order by p) from benjamini_hochberg(tests, p)) =
--   [0.03, 0.04, 0.04]
create macro benjamini_hochberg(relation, p) as table (
    with

    scaled as (
        select
            *,
            nullif(p, 'nan'::double) as known_p,
            known_p * count(known_p) over ()
                / count(known_p) over (order by known_p) as scaled_p,
        from query_table(relation)
    ),

    adjusted as (
        select
            * exclude (scaled_p, known_p),
            case
                when known_p is not null
                    then least(
                        1.0, min(scaled_p) over (order by known_p desc)
                    )
            end as q,
        from scaled
    )

    select * from adjusted
);

-- Wilson 1927 score interval of a share at 95 %; null without trials.
-- Example: wilson_half_width(0, 10) = wilson_centre(0, 10)
create macro wilson_half_width(share, n) as
    1.959963984540054 / (1 + 1.959963984540054 ** 2 / n)
    * sqrt(
        share * (1 - share) / n + 1.959963984540054 ** 2 / (4.0 * n * n)
    );

-- Example: wilson_centre(0.5, 10) = 0.5
create macro wilson_centre(share, n) as
    (share + 1.959963984540054 ** 2 / (2.0 * n))
    / (1 + 1.959963984540054 ** 2 / n);

-- Example: wilson_low(0, 10) = 0
create macro wilson_low(share, n) as
    case
        when n > 0 and n <= 'infinity'::double and share between 0 and 1
            then greatest(
                0.0, wilson_centre(share, n) - wilson_half_width(share, n)
            )
    end;

-- Example: wilson_high(1, 10) = 1
create macro wilson_high(share, n) as
    case
        when n > 0 and n <= 'infinity'::double and share between 0 and 1
            then least(
                1.0, wilson_centre(share, n) + wilson_half_width(share, n)
            )
    end;
