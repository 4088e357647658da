-- Question: by which rules is each claim judged, cell by cell?
-- Grain: test of a question of a claim. A rule compares one figure of one
--   variant with a bar: with the bar itself ('bar'), or after the mean over
--   random weights under the same padding is taken off ('random weights'); the
--   figure then has to exceed population.bound too. docs/method.md argues each
-- Reads: nothing
-- Params: none
-- Columns: claim: number of the paper's claim, 1 to 4; question: 'seen' (is
--   it there?) or 'beyond controls' (is it more than its cheapest explanation
--   gives?); test: what is asked, in words; figure: of cell_figures; variant:
--   whose cell has the figure; against: 'bar' or 'random weights'; bar: the
--   smallest effect of interest; family_test: the question of family_tests
--   whose q has to be below 0.01, null where none is asked; is_set_after: the
--   bar, or the reading, was set after figures were seen; rule: its number, in
--   the order of the page
with

rules as (
    select *
    from (
        values
            (
                1, 'seen', 'energy concentrates about the axis',
                'ln centre density', 'original', 'bar', 0.1, null, false
            ),
            (
                1, 'beyond controls', 'more than random weights do',
                'ln centre density', 'original', 'random weights', 0.1, null,
                true
            ),
            (
                1, 'beyond controls',
                'more than random weights do, circular padding',
                'ln centre density', 'pad-circular', 'random weights', 0.1,
                null, true
            ),
            (
                2, 'seen', 'better than parabola and Gaussian', 'gain',
                'original', 'bar', 0.0, null, false
            ),
            (
                2, 'seen', 'energy falls from the centre', 'fall', 'original',
                'bar', 0.0, null, false
            ),
            (
                2, 'seen', 'and turns inside the image', 'turn', 'original',
                'bar', 0.0, null, false
            ),
            (
                2, 'seen', 'and rises beyond its trough', 'rise', 'original',
                'bar', 0.1, null, false
            ),
            (
                2, 'seen', 'and is round', 'roundness', 'original', 'bar',
                0.75, null, false
            ),
            (
                2, 'beyond controls',
                'better than parabola and Gaussian, circular padding', 'gain',
                'pad-circular', 'bar', 0.0, null, false
            ),
            (
                2, 'beyond controls',
                'falls from the centre, circular padding', 'fall',
                'pad-circular', 'bar', 0.0, null, false
            ),
            (
                2, 'beyond controls',
                'turns inside the image, circular padding', 'turn',
                'pad-circular', 'bar', 0.0, null, false
            ),
            (
                2, 'beyond controls',
                'rises beyond its trough, circular padding', 'rise',
                'pad-circular', 'bar', 0.1, null, false
            ),
            (
                2, 'beyond controls', 'is round, circular padding',
                'roundness', 'pad-circular', 'bar', 0.75, null, false
            ),
            (
                3, 'seen', 'classes lean in the image plane',
                'effect, image', 'original', 'bar', 0.03,
                'class bias, image', false
            ),
            (
                3, 'seen', 'classes lean in activation space',
                'effect, feature', 'original', 'bar', 0.05,
                'class bias, feature', false
            ),
            (
                3, 'seen', 'both planes agree', 'agreement', 'original',
                'bar', 0.5, 'planes agree', false
            ),
            (
                3, 'beyond controls',
                'image plane, beyond the pixel bank', 'effect beyond bank',
                'original', 'bar', 0.03, null, true
            ),
            (
                3, 'beyond controls', 'image plane, above random weights',
                'effect, image', 'original', 'random weights', 0.03, null,
                false
            ),
            (
                3, 'beyond controls', 'image plane, circular padding',
                'effect, image', 'pad-circular', 'bar', 0.03, null, false
            ),
            (
                3, 'beyond controls', 'image plane, reflect padding',
                'effect, image', 'pad-reflect', 'bar', 0.03, null, false
            ),
            (
                3, 'beyond controls', 'activation space, above random weights',
                'effect, feature', 'original', 'random weights', 0.05, null,
                false
            ),
            (
                3, 'beyond controls', 'joint effect', 'joint effect',
                'original', 'bar', 0.04, null, true
            ),
            (
                3, 'beyond controls', 'joint effect, above random weights',
                'joint effect', 'original', 'random weights', 0.04, null, true
            ),
            (
                3, 'beyond controls', 'joint effect, circular padding',
                'joint effect', 'pad-circular', 'bar', 0.04, null, true
            ),
            (
                3, 'beyond controls', 'joint effect, reflect padding',
                'joint effect', 'pad-reflect', 'bar', 0.04, null, true
            ),
            (
                4, 'seen', 'theta tells the class', 'bits', 'original', 'bar',
                0.1, null, false
            ),
            (
                4, 'beyond controls', 'better than swapped frames',
                'beyond swapped', 'original', 'bar', 0.0, null, false
            ),
            (
                4, 'beyond controls', 'better than random weights', 'bits',
                'original', 'random weights', 0.1, null, false
            )
    ) as listed(
        claim,
        question,
        test,
        figure,
        variant,
        against,
        bar,
        family_test,
        is_set_after
    )
),

numbered as (
    select
        claim::bigint as claim,
        question,
        test,
        figure,
        variant,
        against,
        bar::double as bar,
        family_test,
        is_set_after,
        row_number() over () as rule,
    from rules
)

select * from numbered
