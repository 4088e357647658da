-- Question: which query pictures have a near-duplicate in memory?
-- Grain: flagged query image, cell (current, variant 'original'): as like its
--   memory picture as 0.9. On CIFAR-10 that is 2.4 % of the test images, and
--   0.4 % once these are mirrored, which is what chance and symmetry give;
--   docs/method.md says how the bar was chosen
-- Reads: likeness
-- Params: none
with

flagged as (
    select * from likeness
    where likeness >= 0.9
)

select * from flagged
