-- Question: which cells are controls of which evidence?
-- Grain: variant, cell (current) that is evidence; a cell is its own
--   'original'. A control is of the same data set, model, pictures, memory,
--   preprocessing, architecture and bottleneck, and of the same weights, then
--   of as many images as may be; or of random weights, then of as many images
--   and of the same precision. Paddings of before schema 8 re-estimated batch
--   norms and are no controls
-- Reads: cells
-- Params: none
-- Columns: cell_key: the evidence; control_key: the cell of the variant
with

current_cells as (
    select
        cell_key,
        dataset,
        model,
        variant,
        dataset_fingerprint,
        preprocessing,
        bottleneck,
        coalesce(memory, 'official') as memory,
        weights_sha256,
        architecture,
        precision,
        image_limit,
        schema_version,
        is_evidence,
    from cells
    where is_current
),

pairs as (
    select
        evidence.cell_key,
        control.variant,
        control.cell_key as control_key,
    from current_cells as evidence
    inner join current_cells as control
        on evidence.dataset = control.dataset
        and evidence.model = control.model
        and evidence.dataset_fingerprint
        is not distinct from control.dataset_fingerprint
        and evidence.preprocessing is not distinct from control.preprocessing
        and evidence.bottleneck is not distinct from control.bottleneck
        and evidence.memory = control.memory
        and evidence.architecture is not distinct from control.architecture
        and (
            evidence.weights_sha256
            is not distinct from control.weights_sha256
            or (
                contains(control.variant, 'random-init')
                and evidence.image_limit
                is not distinct from control.image_limit
                and evidence.precision is not distinct from control.precision
            )
        )
        and (
            not starts_with(control.variant, 'pad-')
            or control.schema_version >= 8
        )
    where evidence.is_evidence
)

select * from pairs
