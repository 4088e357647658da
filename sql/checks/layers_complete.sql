-- Question: has every layer of a cell one record, vector and angle per image?
-- Grain: layer, cell whose counts differ from the cell's rows; healthy: no row
-- Reads: cells, layers, records, vectors, angles
-- Params: none
with

current_cells as (
    select
        cell_key,
        "rows" as row_count,
    from cells
    where is_current
),

cell_layers as (
    select cell_key, layer from layers
),

record_counts as (
    select
        cell_key,
        layer,
        count(*) as records,
    from records
    group by
        cell_key,
        layer
),

vector_counts as (
    select
        cell_key,
        layer,
        count(*) as vectors,
    from vectors
    group by
        cell_key,
        layer
),

angle_counts as (
    select
        cell_key,
        layer,
        count(*) as angles,
    from angles
    group by
        cell_key,
        layer
),

all_counts as (
    select
        cell_layers.cell_key,
        cell_layers.layer,
        current_cells.row_count,
        coalesce(record_counts.records, 0) as records,
        coalesce(vector_counts.vectors, 0) as vectors,
        coalesce(angle_counts.angles, 0) as angles,
    from cell_layers
    inner join current_cells
        using (cell_key)
    left join record_counts
        using (cell_key, layer)
    left join vector_counts
        using (cell_key, layer)
    left join angle_counts
        using (cell_key, layer)
),

incomplete as (
    select *
    from all_counts
    where records is distinct from row_count
        or vectors is distinct from row_count
        or angles is distinct from row_count
)

select * from incomplete
order by cell_key, layer
