-- Question: which cells are controls of which evidence?
-- Grain: variant, cell (current) that is evidence; a cell is its own
--   'original'. A control is of the same data set, model, pictures, memory,
--   preprocessing and bottleneck, and of the same weights unless these are
--   random; it may have fewer images
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
        and (
            contains(control.variant, 'random-init')
            or evidence.weights_sha256
            is not distinct from control.weights_sha256
        )
    where evidence.is_evidence
)

select * from pairs
