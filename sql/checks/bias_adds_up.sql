-- Question: does every bias test use the images that its class directions use?
-- Grain: split, plane, layer, cell whose n, classes or smallest class differ;
--   healthy: no row
-- Reads: class_bias, class_directions
-- Params: none
with

tests as (
    select
        cell_key,
        layer,
        plane,
        split,
        n,
        classes,
        smallest_class,
    from class_bias
),

directions as (
    select cell_key, layer, plane, split, n from class_directions
),

sums as (
    select
        cell_key,
        layer,
        plane,
        split,
        sum(n) as n_directions,
        count(*) as class_directions,
        min(n) as smallest_direction,
    from directions
    group by
        cell_key,
        layer,
        plane,
        split
),

unequal as (
    select *
    from tests
    full join sums
        using (cell_key, layer, plane, split)
    where n is distinct from n_directions
        or classes is distinct from class_directions
        or smallest_class is distinct from smallest_direction
)

select * from unequal
order by cell_key, layer, plane, split
