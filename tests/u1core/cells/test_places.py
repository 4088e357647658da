"""What `records` say of where a picture was rolled to and where its object lies."""

import dataclasses

import numpy as np
import torch

from u1core.catalog.catalog import load_catalog
from u1core.cells.forward import Extractor
from u1core.cells.open_cell import OpenCell
from u1core.cells.parts import _place_columns
from u1core.common.runtime import Runtime
from u1core.images.sources.placed import places_of

PLACED = load_catalog().datasets["placed"]


def columns(cell, image_ids, **more):
    return _place_columns(OpenCell(dataclasses.replace(cell, **more), None, None), np.array(image_ids))


def test_other_cells_say_nothing(cell):
    assert columns(cell, [0, 1]) == {}


def test_a_roll_is_told_in_half_images_and_is_what_the_network_is_fed(cell):
    rolled = dataclasses.replace(cell, variant="roll")
    told = columns(rolled, [5, 9])
    extractor = Extractor(rolled, Runtime())
    seen = []
    extractor._run = lambda inputs: (seen.append(inputs), dict.fromkeys(cell.model.layers, inputs))[1]
    noise = torch.randint(
        0, 256, (2, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    extractor(noise, [5, 9])
    for row, before in enumerate(extractor.preprocess(noise)):
        right, up = (round(told[f"roll_{axis}"][row] * 16) for axis in "xy")
        assert torch.equal(seen[0][row].roll((up, -right), (1, 2)), before)
        assert (right, up) != (0, 0)


def test_an_object_is_told_by_image_id(cell):
    places, told = places_of(PLACED), columns(cell, [2001, 7], dataset=PLACED)
    assert set(told) == {"object_x", "object_y", "object_radius"}
    assert told["object_x"].tolist() == [places.x[2001], places.x[7]]
    assert told["object_radius"].tolist() == [places.radius[2001], places.radius[7]]
