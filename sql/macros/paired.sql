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
