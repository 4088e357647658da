-- Question: how well do two sets of class directions agree, and by chance?
-- Grain: macros over lists with one entry per class
-- Reads: nothing
-- Params: none

-- Unit vectors of a list of angles: all cosines, then all sines.
-- Example: unit_vectors([0, pi() / 2]) = [1, 0, 0, 1]
create macro unit_vectors(angles_rad) as
    list_concat(
        list_transform(angles_rad, lambda a: cos(a)),
        list_transform(angles_rad, lambda a: sin(a))
    );

-- Mean over classes of cos(a - b), in [-1, 1], of two lists of unit vectors.
-- Example: mean_cosine([1.0, 1.0, 0.0, 0.0], [1.0, -1.0, 0.0, 0.0]) = 0
create macro mean_cosine(unit_a, unit_b) as
    list_dot_product(unit_a, unit_b) / (len(unit_a) / 2);

-- Permutations drawn for each of so many pairs: 9,999, fewer above 100 classes,
-- where each one costs more, and above 10,000 pairs, as those of 70 models.
-- Example: permutation_count(10, 20000) = 5000
create macro permutation_count(classes, pairs) as
    case
        when classes > 0 and pairs > 0
            then greatest(
                99,
                least(
                    9999,
                    (999900 / classes)::bigint,
                    (100000000 / pairs)::bigint
                )
            )
    end;

-- The seed-th permutation of 1..classes: positions in the order of their md5,
-- so it is the same on every machine, version and day.
-- Example: label_permutation(1, 7) = [1]
create macro label_permutation(classes, seed) as
    list_grade_up(
        list_transform(
            range(1, classes + 1),
            lambda position: md5(concat(seed, ':', position))
        )
    );

-- The nth of all permutations of 1..classes, from 0: every number is put among
-- those before it, at a place of its own digit (Lehmer's code).
-- Example: nth_permutation(3, 1) = [3, 1, 2]
create macro nth_permutation(classes, nth) as
    list_reduce(
        list_concat(
            [[1::bigint]],
            list_transform(
                range(2, classes + 1),
                lambda number: [
                    (nth // factorial((number - 1)::int) % number)::bigint
                ]
            )
        ),
        lambda placed, place:
            list_concat(
                placed[:place[1]], [len(placed) + 1], placed[place[1] + 1:]
            )
    );

-- Where the entries of reordered unit vectors are taken from: cosines, then
-- sines.
-- Example: vector_positions([2, 1]) = [2, 1, 4, 3]
create macro vector_positions(permutation) as
    list_concat(
        permutation,
        list_transform(
            permutation, lambda position: position + len(permutation)
        )
    );

-- Unit vectors with their classes reordered.
-- Example: permuted_vectors([1, 0, 0, 1], [2, 1]) = [0, 1, 1, 0]
create macro permuted_vectors(unit, permutation) as
    list_select(unit, vector_positions(permutation));

-- Shuffles drawn of a deck of cards: about 1,000,000 cards in all, but never
-- below 999 shuffles nor above 9,999.
-- Example: shuffle_count(500) = 2000
create macro shuffle_count(cards) as
    case
        when cards > 0
            then least(9999, greatest(999, (1000000 // cards)::bigint))
    end;

-- Cards of the deck that n images are shuffled with: the next power of two, so
-- that few decks serve every number of images.
-- Example: deck_size(5) = 8
create macro deck_size(n) as
    (2 ** ceil(log2(n)))::bigint;

-- The labels of classes of these sizes, one per image: [2, 1] gives 1, 1, 2.
-- Example: repeated_labels([2, 1]) = [1, 1, 2]
create macro repeated_labels(class_sizes) as
    flatten(
        list_transform(
            class_sizes,
            lambda class_size, label:
                list_transform(range(class_size), lambda image: label)
        )
    );

-- Uniform scores of ranks 1..n (average ranks too): points on the circle.
-- Example: score_cosines([1, 2]) = [-1, 1]
create macro score_cosines(ranks) as
    list_transform(ranks, lambda rank: cos(2 * pi() * rank / len(ranks)));

-- Example: score_sines([1, 2, 3, 4]) = [1, 0, -1, 0]
create macro score_sines(ranks) as
    list_transform(ranks, lambda rank: sin(2 * pi() * rank / len(ranks)));
