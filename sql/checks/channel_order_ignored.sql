-- Question: does theta_image stay where it is when channels are permuted?
-- Grain: image, layer, cell of variant 'channel-permuted' whose angle moved the
--   deviation of the dipole by more than 1e-6 half images, about what float32
--   sums in another order may do; healthy: no row
-- Reads: angles
-- Params: none
with

images as (
    select
        cell_key,
        dataset,
        model,
        variant,
        layer,
        image_id,
        theta_image_rad,
        strength_image,
    from angles
    where variant in ('original', 'channel-permuted')
),

compared as (
    select
        permuted.cell_key,
        permuted.layer,
        permuted.image_id,
        original.theta_image_rad as original_rad,
        permuted.theta_image_rad as permuted_rad,
        original.strength_image,
    from images as permuted
    inner join images as original
        on permuted.dataset = original.dataset
        and permuted.model = original.model
        and permuted.layer = original.layer
        and permuted.image_id = original.image_id
        and permuted.variant = 'channel-permuted'
        and original.variant = 'original'
),

moved as (
    select *
    from compared
    where coalesce(
        not abs(angular_difference(permuted_rad, original_rad))
            * strength_image <= 1e-6,
        permuted_rad is distinct from original_rad
    )
)

select * from moved
order by cell_key, layer, image_id
