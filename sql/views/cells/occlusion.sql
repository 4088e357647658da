-- Question: is knowledge where the energy is? What does hiding one half of the
--   picture's area cost, beside how much of the energy was there?
-- Grain: cell (current) of variant 'occlude-centre' or 'occlude-ring' whose
--   original is there, query split. energy_share: of the original's mean energy
--   map at the bottleneck, what lies in the hidden half: the disc of radius
--   sqrt(2/pi), or around it; a cell of the map on the rim counts by a linear
--   ramp as wide as itself. Even energy has 1/2 in both
-- Reads: cells, layers, energy_maps, memory_report
-- Params: none
-- Columns: original_key: the cell of the whole pictures; energy_share: share of
--   its mean energy at the bottleneck in what is hidden; head_accuracy: of the
--   network's own head on what is left, null where it has none of the classes;
--   head_accuracy_original: the same on whole pictures; memory_accuracy: of the
--   nearest neighbour, scheme 'pooled', whose memory is hidden alike;
--   memory_accuracy_original: the same of whole pictures
with

current_cells as (
    select cell_key, dataset, model, variant
    from cells
    where is_current
),

bottlenecks as (
    select cell_key, layer
    from layers
    where is_bottleneck
),

pairs as (
    select
        hidden.*,
        original.cell_key as original_key,
        hidden.variant = 'occlude-centre' as is_centre,
    from current_cells as hidden
    inner join current_cells as original
        on hidden.dataset = original.dataset
        and hidden.model = original.model
        and original.variant = 'original'
        and hidden.variant in ('occlude-centre', 'occlude-ring')
),

maps as (
    select
        energy_maps.cell_key,
        energy_maps.height,
        energy_maps.width,
        energy_maps.mean_energy,
    from energy_maps
    semi join bottlenecks
        on energy_maps.cell_key = bottlenecks.cell_key
        and energy_maps.layer = bottlenecks.layer
    where energy_maps.label is null
        and energy_maps.split = 'query'
),

places as (
    select
        cell_key,
        width,
        unnest(mean_energy) as energy,
        (generate_subscripts(mean_energy, 1) - 1) % width as q,
        (generate_subscripts(mean_energy, 1) - 1) // width as p,
        height,
    from maps
),

weighted as (
    select
        cell_key,
        energy,
        least(
            greatest(
                0.5
                + (
                    sqrt(2 / pi())
                    - sqrt(
                        ((2 * q + 1) / width - 1) ** 2
                        + ((2 * p + 1) / height - 1) ** 2
                    )
                )
                * sqrt(width * height)
                / 2,
                0
            ),
            1
        ) as inside,
    from places
),

shares as (
    select
        cell_key,
        sum(energy * inside) / nullif(sum(energy), 0) as inside_share,
    from weighted
    group by cell_key
),

accuracies as (
    select
        memory_report.cell_key,
        memory_report.accuracy,
        memory_report.head_accuracy,
    from memory_report
    semi join bottlenecks
        on memory_report.cell_key = bottlenecks.cell_key
        and memory_report.layer = bottlenecks.layer
    where memory_report.scheme = 'pooled'
        and memory_report.k = 1
        and memory_report.split = 'query'
),

compared as (
    select
        pairs.cell_key,
        pairs.dataset,
        pairs.model,
        pairs.variant,
        pairs.original_key,
        if(pairs.is_centre, shares.inside_share, 1 - shares.inside_share)
            as energy_share,
        hidden.head_accuracy,
        original.head_accuracy as head_accuracy_original,
        hidden.accuracy as memory_accuracy,
        original.accuracy as memory_accuracy_original,
    from pairs
    left join shares
        on pairs.original_key = shares.cell_key
    left join accuracies as hidden
        on pairs.cell_key = hidden.cell_key
    left join accuracies as original
        on pairs.original_key = original.cell_key
)

select * from compared
