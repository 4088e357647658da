-- Question: which plans were registered before their sweeps, by which rules?
-- Grain: registration
-- Reads: lake.registrations
-- Params: none
-- Columns: has_present_rules: verdicts are decided by the same SQL today
with

registered as (
    select
        *,
        rules_sha256 = rules_sha256() as has_present_rules,
    from lake.registrations
)

select * from registered
