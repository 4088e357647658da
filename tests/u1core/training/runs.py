"""The small recipe that the tests of training share."""

from u1core.training.run import Recipe

RECIPE = Recipe(epochs=2, batch_size=32, limit=120, mirror=False)
