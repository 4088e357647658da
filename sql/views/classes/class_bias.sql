-- Question: do the classes of an image set sit at different angles?
-- Grain: split, plane, layer, cell (current). k-sample uniform scores test
--   (Mardia 1972; Wheeler & Watson 1964), average ranks on ties, over all
--   classes with an angle; null with fewer than two, or when all angles are
--   one. mww_p is the chi-square tail where it may be trusted (see
--   mww_tail_is_trusted), else the share of label permutations with a W as
--   high; above 5,000 images nothing is permuted. mww_q is adjusted over every
--   row of this view; effect_size = W / (2 n) in [0, 1] is the class-weighted
--   mean of the squared resultant lengths of the uniform scores;
--   effect_corrected takes off what W is without any effect
-- Reads: lake.angles, cells, plane_angles
-- Params: none
-- Columns: n: images with an angle [images]; classes: classes with an angle;
--   smallest_class: images with an angle in the smallest class [images]; mww_w:
--   W of the Mardia-Watson-Wheeler test, average ranks on ties, null below two
--   classes, or when all angles are one; mww_dof: degrees of freedom of W, 2
--   (classes - 1), null where W is; effect_size: W / (2 n): 0 no bias, 1 each
--   class at a point of its own, null where W is; effect_corrected: (W - nu) /
--   (2 n - nu), nu the mean of W over label permutations: 0 on average without
--   an effect, whatever the sizes of classes, below ten classes as a share of
--   the most that ranks allow, null where W is and where every class is one
--   image; effect_se: its standard error: the jackknife over images at fixed
--   ranks, less what it counts twice, and at least that of label permutations,
--   null where effect_corrected is and with two images; mww_chi2_p: upper tail
--   of chi-square at W, null where W is; mww_permutations: label permutations
--   drawn, null where mww_permutation_p is; mww_smallest_p: the
--   mww_permutation_p of the largest W that was drawn or seen, null where that
--   is; mww_permutation_p: (1 + label permutations with a W as high) / (1 +
--   permutations), null where the chi-square tail is trusted, above 5,000
--   images, and where W is; mww_p: the p to read: of chi-square where its tail
--   is trusted, else of label permutations, null above 5,000 images with many
--   ties, and where W is; p_method: 'chi-square' or 'permutation', null where
--   mww_p is; mww_q: mww_p after Benjamini-Hochberg over every row of this view
with

images as not materialized (
    select
        cell_key,
        layer,
        split,
        label,
        theta_image_rad,
        theta_feature_rad,
    from lake.angles
),

images_by_plane as not materialized (
    select
        cell_key,
        layer,
        plane,
        split,
        theta_rad,
    from plane_angles
),

current_cells as (
    select cell_key, dataset, model, variant
    from cells
    where is_current
),

counts as materialized (
    select
        cell_key,
        layer,
        split,
        count(theta_image_rad) as n_image,
        count(theta_feature_rad) as n_feature,
    from images
    group by
        cell_key,
        layer,
        split
),

counts_by_plane as (
    select
        cell_key,
        layer,
        split,
        'image' as plane,
        n_image as n,
    from counts
    union all by name
    select
        cell_key,
        layer,
        split,
        'feature' as plane,
        n_feature as n,
    from counts
),

named_tests as (
    select
        current_cells.*,
        counts_by_plane.layer,
        counts_by_plane.plane,
        counts_by_plane.split,
        counts_by_plane.n,
    from counts_by_plane
    inner join current_cells
        using (cell_key)
    where counts_by_plane.n > 0
),

-- Tests have numbers: their names in the sort below would double what it costs.
tests as materialized (
    select
        *,
        row_number() over in_order as test,
        (sum(n) over in_order - n)::bigint as images_before,
    from named_tests
    window in_order as (
        order by
            cell_key,
            layer,
            plane,
            split
        rows unbounded preceding
    )
),

angled as not materialized (
    select
        tests.test::integer as test,
        images.label::integer as label,
        case tests.plane
            when 'image' then images.theta_image_rad
            else images.theta_feature_rad
        end as theta_rad,
    from images
    inner join tests
        using (cell_key, layer, split)
),

circle as not materialized (
    select *
    from angled
    where theta_rad is not null
),

-- One sort of all tests, one behind the other: unlike a window with partitions
-- it needs no memory for the largest of them.
placed as (
    select
        test,
        label,
        rank() over in_order as least_place,
        count(*) over in_order as greatest_place,
    from circle
    window in_order as (
        order by
            test,
            theta_rad
    )
),

scored as (
    select
        placed.test,
        placed.label,
        2 * pi() / tests.n * (
            (placed.least_place + placed.greatest_place) / 2.0
            - tests.images_before
        ) as score_rad,
        1 + placed.greatest_place - placed.least_place as ties,
    from placed
    inner join tests
        using (test)
),

class_sums as (
    select
        test,
        label,
        count(*) as class_n,
        sum(cos(score_rad)) as cosine_sum,
        sum(sin(score_rad)) as sine_sum,
        sum(cos(score_rad) ** 2) as cosine_squares,
        sum(cos(score_rad) * sin(score_rad)) as products,
        max(ties) as ties,
        sum(ties::double * ties - 1) as tied,
    from scored
    group by
        test,
        label
),

-- What W loses with one image z of a class of n at fixed ranks, from its mean:
-- 2 (|S|^2 + n) / (n (n - 1)) - 4 / (n - 1) Re(conj(S) z). An image alone in
-- its class loses its share of the null mean, which says nothing.
class_shifts as (
    select
        *,
        cosine_sum ** 2 + sine_sum ** 2 as square,
        cosine_sum ** 2 * cosine_squares
            + 2 * cosine_sum * sine_sum * products
            + sine_sum ** 2 * (class_n - cosine_squares) as square_sum,
        case when class_n > 1 then 4.0 / (class_n - 1) else 0 end as slope,
        slope * (square + class_n) / (2 * class_n) as level,
    from class_sums
),

statistics as (
    select
        test,
        sum(class_n)::bigint as n,
        count(*) as classes,
        min(class_n) as smallest_class,
        list(class_n order by class_n, label) as class_sizes,
        tie_share(sum(class_n)::double, sum(tied)) as tie_share,
        count(*) >= 2 and max(ties) < sum(class_n) as is_testable,
        2 * sum((cosine_sum ** 2 + sine_sum ** 2) / class_n) as total,
        sum(cosine_sum) ** 2 + sum(sine_sum) ** 2 as resultant_square,
        sum(1.0 / class_n) as reciprocals,
        sum(class_n * level - slope * square) as shift,
        sum(
            class_n * level ** 2
            - 2 * level * slope * square
            + slope ** 2 * square_sum
        ) as shift_squares,
    from class_shifts
    group by test
),

-- The jackknife counts what is quadratic in the scatter of the scores twice
-- (Efron & Stein 1981), under the null that is all: once of it is taken off. It
-- goes with the square of the scatter, 1 - share, and is null_variance at 1.
corrected as (
    select
        *,
        mww_null_mean(n, classes, resultant_square) as null_mean,
        mww_null_variance(n, classes, reciprocals) as null_variance,
        nullif(greatest(0, 2 * n - null_mean), 0) as room,
        (total - null_mean) / room as share,
        (1 - 1.0 / n) * (shift_squares - shift ** 2 / n) as jackknife_variance,
        greatest(
            null_variance,
            jackknife_variance
            - (1 - least(1, greatest(0, share))) ** 2 * null_variance
        ) as variance,
        room * mww_ceiling(class_sizes, n) as headroom,
    from statistics
),

testable as (
    select
        * exclude (
            is_testable,
            total,
            tie_share,
            resultant_square,
            reciprocals,
            shift,
            shift_squares,
            null_mean,
            null_variance,
            jackknife_variance,
            variance,
            room,
            share,
            headroom
        ),
        mww_tail_is_trusted(n, smallest_class, tie_share) as is_trusted,
        case when is_testable then total end as mww_w,
        case when is_testable then 2 * (classes - 1) end as mww_dof,
        case when is_testable then least(1.0, total / (2.0 * n)) end
            as effect_size,
        case when is_testable then (total - null_mean) / headroom end
            as effect_corrected,
        case when is_testable then sqrt(variance) / headroom end as effect_se,
    from corrected
),

to_permute as materialized (
    select
        tests.test,
        tests.cell_key,
        tests.layer,
        tests.plane,
        tests.split,
        testable.class_sizes,
    from testable
    inner join tests
        using (test)
    where testable.mww_w is not null
        and not testable.is_trusted
        and testable.n <= 5000
),

-- Images without an angle come last and leave the ranks of the others alone.
-- Left out here, they would make the planner hash all images.
few_ranked as (
    select
        to_permute.test,
        images_by_plane.theta_rad,
        to_permute.class_sizes,
        average_rank(images_by_plane.theta_rad, to_permute.test) as mean_rank,
    from images_by_plane
    inner join to_permute
        using (cell_key, layer, plane, split)
),

test_ranks as (
    select
        test,
        any_value(class_sizes) as class_sizes,
        list(mean_rank order by mean_rank) as ranks,
    from few_ranked
    where theta_rad is not null
    group by test
),

-- Tests of the same class sizes and ranks share their null: without ties that
-- is every test of an image set.
designs as (
    select
        class_sizes,
        ranks,
        len(ranks) as n,
        deck_size(len(ranks)) as deck,
        repeated_labels(class_sizes) as labels,
        score_cosines(ranks) as cosines,
        score_sines(ranks) as sines,
        row_number() over () as design,
    from (select distinct class_sizes, ranks from test_ranks) as kinds
),

seeds as (
    select
        deck,
        unnest(range(1, shuffle_count(deck) + 1)) as seed,
    from (select distinct deck from designs) as decks
),

shuffles as materialized (
    select
        deck,
        seed,
        label_permutation(deck, seed) as shuffled,
    from seeds
),

-- The values up to n of a shuffled larger deck are a shuffle of n.
relabelled as (
    select
        designs.design,
        shuffles.seed,
        unnest(designs.cosines) as cosine,
        unnest(designs.sines) as sine,
        unnest(
            list_select(
                designs.labels,
                list_filter(
                    shuffles.shuffled,
                    lambda position: position <= designs.n
                )
            )
        ) as null_label,
    from designs
    inner join shuffles
        using (deck)
),

null_sums as (
    select
        design,
        seed,
        null_label,
        count(*) as class_size,
        sum(cosine) as cosine_sum,
        sum(sine) as sine_sum,
    from relabelled
    group by
        design,
        seed,
        null_label
),

null_statistics as (
    select
        design,
        seed,
        2 * sum((cosine_sum ** 2 + sine_sum ** 2) / class_size) as null_w,
    from null_sums
    group by
        design,
        seed
),

nulls as (
    select
        designs.class_sizes,
        designs.ranks,
        list(null_statistics.null_w order by null_statistics.null_w) as null_w,
        max(null_statistics.null_w) as largest_w,
    from null_statistics
    inner join designs
        using (design)
    group by
        designs.class_sizes,
        designs.ranks
),

null_of_test as (
    select
        test_ranks.test,
        nulls.null_w,
        nulls.largest_w,
    from test_ranks
    inner join nulls
        using (class_sizes, ranks)
),

tested as (
    select
        tests.* exclude (test, n, images_before),
        testable.* exclude (test, class_sizes),
        chi2_sf_even(testable.mww_w, testable.mww_dof) as mww_chi2_p,
        len(null_of_test.null_w) as mww_permutations,
        exceedance_p(
            null_of_test.null_w,
            greatest(testable.mww_w, null_of_test.largest_w)
        ) as mww_smallest_p,
        exceedance_p(null_of_test.null_w, testable.mww_w)
            as mww_permutation_p,
    from testable
    inner join tests
        using (test)
    left join null_of_test
        using (test)
),

chosen as (
    select
        * exclude (is_trusted),
        case when is_trusted then mww_chi2_p else mww_permutation_p end
            as mww_p,
        case
            when is_trusted and mww_w is not null then 'chi-square'
            when mww_permutation_p is not null then 'permutation'
        end as p_method,
    from tested
),

adjusted as (
    select * rename (q as mww_q)
    from benjamini_hochberg(chosen, mww_p)
)

select * from adjusted
