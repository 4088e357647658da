-- Question: has every record its angle, and every angle its record?
-- Grain: image, layer, cell found on one side only; healthy: no row
-- Reads: records, angles
-- Params: none
with

recorded as (
    select cell_key, layer, image_id, split, label from records
),

angled as (
    select cell_key, layer, image_id, split, label from angles
),

without_angle as (
    select *, 'no angle' as fault
    from recorded
    anti join angled
        using (cell_key, layer, image_id, split, label)
),

without_record as (
    select *, 'no record' as fault
    from angled
    anti join recorded
        using (cell_key, layer, image_id, split, label)
),

unmatched as (
    select * from without_angle
    union all by name
    select * from without_record
)

select * from unmatched
order by cell_key, layer, image_id
