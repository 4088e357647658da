-- Question: is every frame a pair of orthogonal unit vectors?
-- Grain: layer, cell whose two columns are not, within 1e-6; layers of one
--   channel, where no plane exists, and null frames are left out; healthy: no
--   row
-- Reads: frames
-- Params: none
with

columns_of_frames as (
    select
        cell_key,
        layer,
        channels,
        frame_x,
        frame_y,
        coupling_1,
        coupling_2,
    from frames
    where channels >= 2
        and frame_x is not null
        and frame_y is not null
),

-- list_dot_product of DuckDB 2.0 refuses lists beside filtered null ones.
products as (
    select
        cell_key,
        layer,
        channels,
        list_sum(list_transform(frame_x, lambda x: x ** 2)) as xx,
        list_sum(list_transform(frame_y, lambda y: y ** 2)) as yy,
        list_sum(list_transform(frame_x, lambda x, i: x * frame_y[i])) as xy,
        coupling_1,
        coupling_2,
    from columns_of_frames
),

crooked as (
    select *
    from products
    where not abs(xx - 1) <= 1e-6
        or not abs(yy - 1) <= 1e-6
        or not abs(xy) <= 1e-6
        or coupling_2 < 0
        or coupling_1 < coupling_2
)

select * from crooked
order by cell_key, layer
