-- Question: how did loss and accuracy go, epoch by epoch?
-- Grain: epoch, training run; runs under way show the epochs they have finished
-- Reads: lake.training_epochs
-- Params: none
with

epochs as (
    select * from lake.training_epochs
)

select * from epochs
