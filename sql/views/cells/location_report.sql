-- Question: where in the image plane does the memory's knowledge end, and is
--   that the circle of confusion?
-- Grain: cell (current) with a location memory. centre and corner are the
--   innermost and the outermost ring of places; half_radius is where the mean
--   accuracy of the rings has first fallen half-way from the centre's to
--   chance, linear between rings; null where it never has, or the centre knows
--   no more than chance. Rings are rounded to 12 digits: one may lie on the
--   threshold exactly, and threads add in any order. ee50_radius is that of
--   the mean energy map, query split
-- Reads: cells, location_neighbours, location_accuracy, sombrero
-- Params: none
-- Columns: n_memory: memory images of the location memory [images]; n_query:
--   query images that it was asked [images]; pooled_accuracy: 1-NN accuracy by
--   the pooled vector on the same images; full_accuracy: 1-NN accuracy by the
--   flattened map on the same images; centre_accuracy: mean accuracy over the
--   innermost ring of places; corner_accuracy: mean accuracy over the outermost
--   ring of places; half_radius: radius at which the rings' mean accuracy has
--   first fallen half-way from the centre's to chance, null where it never has,
--   or the centre knows no more than chance [half image]; ee50_radius: radius
--   that encircles 50 % of the energy of the mean map, query split [half image]
with

current_cells as (
    select
        cell_key,
        dataset,
        model,
        variant,
        bottleneck as layer,
        location_memory as n_memory,
        location_query as n_query,
        is_evidence,
    from cells
    where is_current
),

answers as (
    select
        cell_key,
        scheme,
        memory_label = label as is_correct,
    from location_neighbours
),

places as (
    select
        cell_key,
        round(sqrt(x ** 2 + y ** 2), 9) as radius,
        accuracy,
        chance,
    from location_accuracy
),

maps as (
    select cell_key, layer, ee50_radius
    from sombrero
    where split = 'query'
),

whole_planes as (
    select
        cell_key,
        avg(is_correct::integer) filter (where scheme = 'pooled')
            as pooled_accuracy,
        avg(is_correct::integer) filter (where scheme = 'full')
            as full_accuracy,
    from answers
    group by cell_key
),

rings as (
    select
        cell_key,
        radius,
        round(any_value(chance), 12) as chance,
        round(avg(accuracy), 12) as accuracy,
    from places
    group by
        cell_key,
        radius
),

ends as (
    select
        cell_key,
        any_value(chance) as chance,
        arg_min(accuracy, radius) as centre_accuracy,
        arg_max(accuracy, radius) as corner_accuracy,
    from rings
    group by cell_key
),

steps as (
    select
        rings.cell_key,
        rings.radius,
        rings.accuracy,
        lag(rings.radius) over inwards as inner_radius,
        lag(rings.accuracy) over inwards as inner_accuracy,
        round((ends.centre_accuracy + ends.chance) / 2, 12) as half_accuracy,
    from rings
    inner join ends
        on rings.cell_key = ends.cell_key
    where ends.centre_accuracy > ends.chance
    window inwards as (
        partition by rings.cell_key
        order by rings.radius
    )
),

halves as (
    select
        cell_key,
        min(
            inner_radius
            + (radius - inner_radius)
            * (inner_accuracy - half_accuracy)
            / (inner_accuracy - accuracy)
        ) as half_radius,
    from steps
    where accuracy <= half_accuracy
        and inner_accuracy > half_accuracy
    group by cell_key
),

reported as (
    select
        current_cells.cell_key,
        current_cells.dataset,
        current_cells.model,
        current_cells.variant,
        current_cells.layer,
        current_cells.is_evidence,
        current_cells.n_memory,
        current_cells.n_query,
        ends.chance,
        whole_planes.pooled_accuracy,
        whole_planes.full_accuracy,
        ends.centre_accuracy,
        ends.corner_accuracy,
        halves.half_radius,
        maps.ee50_radius,
    from current_cells
    inner join whole_planes
        on current_cells.cell_key = whole_planes.cell_key
    left join ends
        on current_cells.cell_key = ends.cell_key
    left join halves
        on current_cells.cell_key = halves.cell_key
    left join maps
        on current_cells.cell_key = maps.cell_key
        and current_cells.layer = maps.layer
)

select * from reported
