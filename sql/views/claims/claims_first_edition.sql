-- Question: which claims of arXiv 2206.02220 hold by the rules of the first
--   edition, which data without the effect can meet?
-- Grain: claim (five rows). docs/method.md says why these rules were replaced.
--   The rule of each stands in the header of its own
--   view. Evidence are the bottlenecks of the cells with is_evidence, in the
--   query split: a claim without any is 'not tested'. caveat: what the controls
--   say beside the evidence, null where none was run
-- Reads: claim_focus, claim_sombrero, claim_bias, claim_memory, claim_training
-- Params: none
-- Columns: verdict: 'holds', 'does not hold' or 'not tested'; evidence: one
--   sentence with its numbers, or why the claim is not tested; caveat: what the
--   controls say beside the evidence, null where none was run
with

all_claims as (
    select * from claim_focus
    union all by name
    select * from claim_sombrero
    union all by name
    select * from claim_bias
    union all by name
    select * from claim_memory
    union all by name
    select * from claim_training
),

judged as (
    select
        claim,
        statement,
        case
            when is_untested then 'not tested'
            when is_met then 'holds'
            else 'does not hold'
        end as verdict,
        case
            when is_untested and claim = 5
                then 'The lake holds no training runs.'
            when is_untested
                then 'The lake holds no evidence, only controls.'
            else evidence
        end as evidence,
        caveat,
    from all_claims
)

select * from judged
order by claim
