-- Question: is the mean dipole of every frame that of its memory split, and of
--   nothing else?
-- Grain: layer, cell whose mean is off by more than 1e-9 half images; healthy:
--   no row
-- Reads: frames, records
-- Params: none
with

means as (
    select
        cell_key,
        layer,
        n_memory,
        mean_dipole_x,
        mean_dipole_y,
    from frames
),

images as (
    select
        cell_key,
        layer,
        count(dipole_x) as images,
        avg(dipole_x) as memory_x,
        avg(dipole_y) as memory_y,
    from records
    where split = 'memory'
    group by
        cell_key,
        layer
),

compared as (
    select *
    from means
    left join images
        using (cell_key, layer)
),

elsewhere as (
    select *
    from compared
    where n_memory is distinct from images
        or abs(mean_dipole_x - memory_x) > 1e-9
        or abs(mean_dipole_y - memory_y) > 1e-9
)

select * from elsewhere
order by cell_key, layer
