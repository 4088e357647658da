-- Question: does every probability, share and interval lie in [0, 1], in order?
-- Grain: relation, column and value that does not, with its cell; healthy: no
--   row
-- Reads: class_directions, class_bias, model_agreement, plane_agreement,
--   class_agreement, controls, composition, weak_angles, memory_report,
--   memory_per_class, location_accuracy, location_report
-- Params: none
with

directions as (
    select
        'class_directions' as relation,
        cell_key,
        unnest(['resultant_length', 'rayleigh_p', 'rayleigh_q']) as measure,
        unnest([resultant_length, rayleigh_p, rayleigh_q]) as share,
    from class_directions
),

bias as (
    select
        'class_bias' as relation,
        cell_key,
        unnest(['mww_p', 'mww_q', 'effect_size']) as measure,
        unnest([mww_p, mww_q, effect_size]) as share,
    from class_bias
),

models as (
    select
        'model_agreement' as relation,
        cell_key_a as cell_key,
        unnest(
            ['permutation_p', 'permutation_q', 'agreement / 2 + 1/2']
        ) as measure,
        unnest(
            [permutation_p, permutation_q, agreement / 2 + 0.5]
        ) as share,
    from model_agreement
),

planes as (
    select
        'plane_agreement' as relation,
        cell_key,
        unnest(
            ['permutation_p', 'permutation_q', 'agreement / 2 + 1/2']
        ) as measure,
        unnest(
            [permutation_p, permutation_q, agreement / 2 + 0.5]
        ) as share,
    from plane_agreement
),

votes as (
    select
        'class_agreement' as relation,
        null as cell_key,
        unnest(['resultant_length', 'rayleigh_p', 'rayleigh_q']) as measure,
        unnest([resultant_length, rayleigh_p, rayleigh_q]) as share,
    from class_agreement
),

variants as (
    select
        'controls' as relation,
        cell_key,
        unnest(
            [
                'complex_correlation / 2 + 1/2',
                'mean_cosine / 2 + 1/2',
                'class_agreement / 2 + 1/2',
                'median_error_rad / pi',
            ]
        ) as measure,
        unnest(
            [
                complex_correlation / 2 + 0.5,
                mean_cosine / 2 + 0.5,
                class_agreement / 2 + 0.5,
                median_error_rad / pi(),
            ]
        ) as share,
    from controls
),

pictures as (
    select
        'composition' as relation,
        cell_key,
        unnest(
            [
                'permutation_p',
                'permutation_q',
                'agreement / 2 + 1/2',
                'image_correlation / 2 + 1/2',
            ]
        ) as measure,
        unnest(
            [
                permutation_p,
                permutation_q,
                agreement / 2 + 0.5,
                image_correlation / 2 + 0.5,
            ]
        ) as share,
    from composition
),

memory as (
    select
        'memory_report' as relation,
        cell_key,
        unnest(
            [
                'ci_low',
                'accuracy - ci_low',
                'ci_high - accuracy',
                'ci_high',
                'macro_f1',
                'chance',
                'head_accuracy',
            ]
        ) as measure,
        unnest(
            [
                ci_low,
                accuracy - ci_low,
                ci_high - accuracy,
                ci_high,
                macro_f1,
                chance,
                head_accuracy,
            ]
        ) as share,
    from memory_report
),

classes as (
    select
        'memory_per_class' as relation,
        cell_key,
        unnest(['precision', 'recall', 'f1']) as measure,
        unnest([precision, recall, f1]) as share,
    from memory_per_class
),

weak as (
    select
        'weak_angles' as relation,
        cell_key,
        'weak_share' as measure,
        weak_share as share,
    from weak_angles
),

places as (
    select
        'location_accuracy' as relation,
        cell_key,
        unnest(
            ['ci_low', 'accuracy - ci_low', 'ci_high - accuracy', 'ci_high']
        ) as measure,
        unnest(
            [ci_low, accuracy - ci_low, ci_high - accuracy, ci_high]
        ) as share,
    from location_accuracy
),

planes_of_places as (
    select
        'location_report' as relation,
        cell_key,
        unnest(
            [
                'chance',
                'pooled_accuracy',
                'full_accuracy',
                'half_radius / sqrt(2)',
            ]
        ) as measure,
        unnest(
            [
                chance,
                pooled_accuracy,
                full_accuracy,
                half_radius / sqrt(2),
            ]
        ) as share,
    from location_report
),

all_shares as (
    select * from directions
    union all by name
    select * from bias
    union all by name
    select * from models
    union all by name
    select * from planes
    union all by name
    select * from votes
    union all by name
    select * from variants
    union all by name
    select * from pictures
    union all by name
    select * from weak
    union all by name
    select * from places
    union all by name
    select * from planes_of_places
    union all by name
    select * from memory
    union all by name
    select * from classes
),

outside as (
    select *
    from all_shares
    where share not between -1e-12 and 1 + 1e-12
)

select * from outside
order by relation, cell_key, measure
