-- Question: do the classes of an image set sit at different angles?
-- Grain: split, plane, layer, cell (current). k-sample uniform scores test
--   (Mardia 1972; Wheeler & Watson 1964), average ranks on ties, over all
--   classes with an angle; null with fewer than two, or when all angles are
--   one. mww_p is the chi-square tail where it may be trusted (see
--   mww_tail_is_trusted), else the share of label permutations with a W as
--   high; above 5,000 images nothing is permuted. mww_q is adjusted over every
--   row of this view; effect_size = W / (2 n) in [0, 1] is the class-weighted
--   mean of the squared resultant lengths of the uniform scores
-- Reads: plane_angles
-- Params: none
with

circle as not materialized (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        plane,
        split,
        label,
        theta_rad,
    from plane_angles
    where theta_rad is not null
),

ranked as (
    select
        *,
        average_rank(
            theta_rad, (cell_key, layer, plane, split)
        ) as mean_rank,
        count(*) over (
            partition by (cell_key, layer, plane, split)
        ) as images,
    from circle
),

class_sums as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        plane,
        split,
        label,
        count(*) as class_n,
        min(theta_rad) as least_rad,
        max(theta_rad) as greatest_rad,
        sum(cos(2 * pi() * mean_rank / images)) as cosine_sum,
        sum(sin(2 * pi() * mean_rank / images)) as sine_sum,
        sum((mean_rank - (images + 1) / 2) ** 2) as rank_squares,
    from ranked
    group by
        cell_key,
        dataset,
        model,
        variant,
        layer,
        plane,
        split,
        label
),

statistics as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        plane,
        split,
        sum(class_n)::bigint as n,
        count(*) as classes,
        min(class_n) as smallest_class,
        list(class_n order by class_n, label) as class_sizes,
        tie_share(sum(class_n)::double, sum(rank_squares)) as tie_share,
        count(*) >= 2
            and min(least_rad) < max(greatest_rad) as is_testable,
        2 * sum((cosine_sum ** 2 + sine_sum ** 2) / class_n) as total,
    from class_sums
    group by
        cell_key,
        dataset,
        model,
        variant,
        layer,
        plane,
        split
),

testable as (
    select
        * exclude (is_testable, total, tie_share),
        mww_tail_is_trusted(n, smallest_class, tie_share) as is_trusted,
        case when is_testable then total end as mww_w,
        case when is_testable then 2 * (classes - 1) end as mww_dof,
        case when is_testable then least(1.0, total / (2.0 * n)) end
            as effect_size,
    from statistics
),

to_permute as (
    select
        cell_key,
        layer,
        plane,
        split,
        class_sizes,
    from testable
    where mww_w is not null
        and not is_trusted
        and n <= 5000
),

few_images as (
    select circle.*, to_permute.class_sizes
    from circle
    inner join to_permute
        using (cell_key, layer, plane, split)
),

few_ranked as (
    select
        cell_key,
        layer,
        plane,
        split,
        class_sizes,
        average_rank(
            theta_rad, (cell_key, layer, plane, split)
        ) as mean_rank,
    from few_images
),

test_ranks as (
    select
        cell_key,
        layer,
        plane,
        split,
        any_value(class_sizes) as class_sizes,
        list(mean_rank order by mean_rank) as ranks,
    from few_ranked
    group by
        cell_key,
        layer,
        plane,
        split
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
    from null_statistics
    inner join designs
        using (design)
    group by
        designs.class_sizes,
        designs.ranks
),

null_of_test as (
    select
        test_ranks.cell_key,
        test_ranks.layer,
        test_ranks.plane,
        test_ranks.split,
        nulls.null_w,
    from test_ranks
    inner join nulls
        using (class_sizes, ranks)
),

tested as (
    select
        testable.* exclude (class_sizes),
        chi2_sf_even(testable.mww_w, testable.mww_dof) as mww_chi2_p,
        exceedance_p(null_of_test.null_w, testable.mww_w)
            as mww_permutation_p,
    from testable
    left join null_of_test
        using (cell_key, layer, plane, split)
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

scaled as (
    select *, bh_scaled(mww_p) as scaled_p from chosen
),

adjusted as (
    select
        * exclude (scaled_p),
        bh_q(scaled_p, mww_p) as mww_q,
    from scaled
)

select * from adjusted
