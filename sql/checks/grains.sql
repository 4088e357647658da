-- Question: is any row of a table or view there twice?
-- Grain: relation, dataset, cell with more rows than keys; healthy: no row
-- Reads: records, vectors, angles, frames, planes, energy_maps, neighbours,
--   location_neighbours, shapes, theta_bits, beyond_bank, loco_directions,
--   failures, concentration_by_layer, sombrero, sombrero_test, attribution,
--   class_bias, class_directions, plane_agreement, plane_agreement_by_frame,
--   controls, composition, theta_uncertainty, theta_sectors, theta_spread,
--   theta_summary, weak_angles, memory_report, memory_by_frame,
--   location_accuracy, location_report, model_agreement, loco_model_agreement,
--   class_agreement
-- Params: none
with

counts as (
    select
        'records' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct (layer, image_id)) as repeats,
    from records
    group by
        dataset,
        cell_key
    union all by name
    select
        'vectors' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct (layer, image_id)) as repeats,
    from vectors
    group by
        dataset,
        cell_key
    union all by name
    select
        'angles' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct (layer, image_id)) as repeats,
    from angles
    group by
        dataset,
        cell_key
    union all by name
    select
        'shapes' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct (layer, split, half)) as repeats,
    from shapes
    group by
        dataset,
        cell_key
    union all by name
    select
        'theta_bits' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct (layer, plane)) as repeats,
    from theta_bits
    group by
        dataset,
        cell_key
    union all by name
    select
        'beyond_bank' as relation,
        dataset,
        cell_key,
        count(*) - 1 as repeats,
    from beyond_bank
    group by
        dataset,
        cell_key
    union all by name
    select
        'sombrero_test' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct (layer, split)) as repeats,
    from sombrero_test
    group by
        dataset,
        cell_key
    union all by name
    select
        'attribution' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct cell_key) as repeats,
    from attribution
    group by
        dataset,
        cell_key
    union all by name
    select
        'frames' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct layer) as repeats,
    from frames
    group by
        dataset,
        cell_key
    union all by name
    select
        'planes' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct (layer, frame)) as repeats,
    from planes
    group by
        dataset,
        cell_key
    union all by name
    select
        'loco_directions' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct (layer, label, half)) as repeats,
    from loco_directions
    group by
        dataset,
        cell_key
    union all by name
    select
        'plane_agreement_by_frame' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct (layer, frame)) as repeats,
    from plane_agreement_by_frame
    group by
        dataset,
        cell_key
    union all by name
    select
        'memory_by_frame' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct (layer, frame)) as repeats,
    from memory_by_frame
    group by
        dataset,
        cell_key
    union all by name
    select
        'energy_maps' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct (layer, split, label)) as repeats,
    from energy_maps
    group by
        dataset,
        cell_key
    union all by name
    select
        'neighbours' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct (layer, scheme, image_id, rank)) as repeats,
    from neighbours
    group by
        dataset,
        cell_key
    union all by name
    select
        'location_neighbours' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct (layer, scheme, x, y, image_id)) as repeats,
    from location_neighbours
    group by
        dataset,
        cell_key
    union all by name
    select
        'failures' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct image_id) as repeats,
    from failures
    group by
        dataset,
        cell_key
    union all by name
    select
        'concentration_by_layer' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct (layer, split)) as repeats,
    from concentration_by_layer
    group by
        dataset,
        cell_key
    union all by name
    select
        'sombrero' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct (layer, split)) as repeats,
    from sombrero
    group by
        dataset,
        cell_key
    union all by name
    select
        'plane_agreement' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct (layer, split)) as repeats,
    from plane_agreement
    group by
        dataset,
        cell_key
    union all by name
    select
        'controls' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct (layer, plane, split)) as repeats,
    from controls
    group by
        dataset,
        cell_key
    union all by name
    select
        'composition' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct (plane, split)) as repeats,
    from composition
    group by
        dataset,
        cell_key
    union all by name
    select
        'theta_uncertainty' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct (layer, image_id)) as repeats,
    from theta_uncertainty
    group by
        dataset,
        cell_key
    union all by name
    select
        'class_bias' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct (layer, plane, split)) as repeats,
    from class_bias
    group by
        dataset,
        cell_key
    union all by name
    select
        'class_directions' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct (layer, plane, split, label)) as repeats,
    from class_directions
    group by
        dataset,
        cell_key
    union all by name
    select
        'theta_sectors' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct (plane, split, label, sector)) as repeats,
    from theta_sectors
    group by
        dataset,
        cell_key
    union all by name
    select
        'theta_spread' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct (plane, split, bin)) as repeats,
    from theta_spread
    group by
        dataset,
        cell_key
    union all by name
    select
        'theta_summary' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct (plane, split)) as repeats,
    from theta_summary
    group by
        dataset,
        cell_key
    union all by name
    select
        'weak_angles' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct (plane, split)) as repeats,
    from weak_angles
    group by
        dataset,
        cell_key
    union all by name
    select
        'memory_report' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct (layer, scheme, k)) as repeats,
    from memory_report
    group by
        dataset,
        cell_key
    union all by name
    select
        'location_accuracy' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct (layer, x, y)) as repeats,
    from location_accuracy
    group by
        dataset,
        cell_key
    union all by name
    select
        'location_report' as relation,
        dataset,
        cell_key,
        count(*) - count(distinct cell_key) as repeats,
    from location_report
    group by
        dataset,
        cell_key
    union all by name
    select
        'model_agreement' as relation,
        dataset,
        cell_key_a as cell_key,
        count(*) - count(distinct (cell_key_b, plane, split)) as repeats,
    from model_agreement
    group by
        dataset,
        cell_key_a
    union all by name
    select
        'loco_model_agreement' as relation,
        dataset,
        cell_key_a as cell_key,
        count(*) - count(distinct (cell_key_b, plane)) as repeats,
    from loco_model_agreement
    group by
        dataset,
        cell_key_a
    union all by name
    select
        'class_agreement' as relation,
        dataset,
        null as cell_key,
        count(*) - count(distinct (plane, split, label)) as repeats,
    from class_agreement
    group by dataset
),

repeated as (
    select *
    from counts
    where repeats > 0
)

select * from repeated
order by relation, dataset, cell_key
