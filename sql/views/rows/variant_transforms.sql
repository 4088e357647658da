-- Question: what does each variant do to theta, in both planes?
-- Grain: variant. The expected angle is turn_rad + theta, or turn_rad - theta
--   where it mirrors; is_jitter: once undone, it is one more reading of the
--   same angle. Where 'none' is expected the variant's is compared with theta:
--   random weights, and pictures of which a control leaves only a part
-- Reads: nothing
-- Params: none
-- Columns: variant: 'original', a control or a jitter; expected: angle expected
--   where the original's is theta, 'none' where nothing is; mirror: the
--   expected angle is turn_rad - theta instead of turn_rad + theta; turn_rad:
--   angle expected where the original's is 0 [rad]; is_jitter: once undone, one
--   more reading of the same angle
with

transforms as (
    select *
    from (
        values
            ('original', 'theta', false, 0.0::double, true),
            ('hflip', 'pi - theta', true, pi(), true),
            ('rot90', 'theta + pi/2', false, pi() / 2, false),
            ('rot180', 'theta + pi', false, pi(), false),
            ('rot270', 'theta - pi/2', false, -pi() / 2, false),
            ('channel-permuted', 'theta', false, 0.0, false),
            ('gray', 'theta', false, 0.0, false),
            ('shift-left', 'theta', false, 0.0, true),
            ('shift-right', 'theta', false, 0.0, true),
            ('shift-up', 'theta', false, 0.0, true),
            ('shift-down', 'theta', false, 0.0, true),
            ('bfloat16', 'theta', false, 0.0, true),
            ('random-init', 'none', false, 0.0, false),
            ('reestimated', 'theta', false, 0.0, false),
            ('pad-circular', 'theta', false, 0.0, false),
            ('pad-reflect', 'theta', false, 0.0, false),
            ('unit-channels', 'theta', false, 0.0, false),
            ('pad-circular+roll', 'none', false, 0.0, false),
            ('roll', 'none', false, 0.0, false),
            ('constant', 'none', false, 0.0, false),
            ('phase-noise', 'none', false, 0.0, false),
            ('white', 'none', false, 0.0, false),
            ('occlude-centre', 'none', false, 0.0, false),
            ('occlude-ring', 'none', false, 0.0, false)
    ) as listed(variant, expected, mirror, turn_rad, is_jitter)
),

population as (
    select
        weights || ':' || seed as variant,
        'none' as expected,
        false as mirror,
        0.0::double as turn_rad,
        false as is_jitter,
    from range(20) as seeds(seed)
    cross join (
        values
            ('random-init'),
            ('pad-circular+random-init')
    ) as kinds(weights)
),

all_variants as (
    select * from transforms
    union all
    select * from population
)

select * from all_variants
