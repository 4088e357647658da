-- Question: which cells were planned, and the rules that judge them fixed,
--   before they were computed? And which had nobody seen before?
-- Grain: current cell
-- Reads: cells, registrations, seen_before_rules
-- Params: none
-- Columns: registration_key: of the first registration that counts: it names
--   the cell's key, has the rules of today, and was written before the cell was
--   committed, null where none does; registered_at: when that was written
--   [UTC]; is_registered: there is one; is_unseen: neither its network nor its
--   data set is among those of seen_before_rules, by id or by content
with

current_cells as (
    select
        cell_key,
        dataset,
        model,
        variant,
        weights_sha256,
        dataset_fingerprint,
        committed_at,
    from cells
    where is_current
),

named_cells as (
    select
        unnest(cell_keys) as cell_key,
        registration_key,
        registered_at,
    from registrations
    where has_present_rules
),

first_named as (
    select
        current_cells.cell_key,
        min(registered_at) as first_registered_at,
        min_by(
            registration_key,
            (registered_at, registration_key)
        ) as first_registration_key,
    from current_cells
    inner join named_cells
        on named_cells.cell_key = current_cells.cell_key
        and named_cells.registered_at < current_cells.committed_at
    group by current_cells.cell_key
),

seen_before as (
    select
        kind,
        id,
        sha256,
    from seen_before_rules
),

-- A catalog may know weights by the first digits of their sha256.
seen_cells as (
    select distinct current_cells.cell_key
    from current_cells
    inner join seen_before
        on (
            kind = 'network'
            and (id = model or starts_with(sha256, weights_sha256))
        )
        or (
            kind = 'data set'
            and (id = dataset or sha256 = dataset_fingerprint)
        )
),

told as (
    select
        current_cells.cell_key,
        dataset,
        model,
        variant,
        first_registration_key as registration_key,
        first_registered_at as registered_at,
        first_registration_key is not null as is_registered,
        seen_cells.cell_key is null as is_unseen,
    from current_cells
    left join first_named
        on first_named.cell_key = current_cells.cell_key
    left join seen_cells
        on seen_cells.cell_key = current_cells.cell_key
)

select * from told
