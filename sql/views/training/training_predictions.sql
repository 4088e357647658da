-- Question: what do trained networks say of the images of the test set?
-- Grain: test image, training run that was tested
-- Reads: lake.training_predictions
-- Params: none
with

predictions as (
    select * from lake.training_predictions
)

select * from predictions
