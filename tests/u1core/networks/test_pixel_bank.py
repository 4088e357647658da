"""The pixel bank: seven maps by hand, each a layer of a model without a network."""

import numpy as np
import pytest
import torch

from u1core.catalog.catalog import load_catalog
from u1core.measures.reduce import reduce_layer
from u1core.networks.build import build_network
from u1core.networks.resolve import describe_path
from u1core.networks.sources.pixels import BANK
from u1core.networks.taps import Taps

ENTRY = load_catalog().models["bank"]


def maps_of(pictures):
    """Return the bank of pictures (B, 3, H, W): every map (B, 1, H, W) and all of them, by name."""
    return Taps(build_network(ENTRY), ENTRY.layers)(pictures)


def test_the_entry_names_the_bank():
    assert ENTRY.layers == (*BANK, "bank") and ENTRY.bottleneck == "bank"
    assert ENTRY.is_baseline and not ENTRY.has_weights
    path = {layer.path: layer for layer in describe_path(ENTRY)}
    assert [path[name].channels for name in ENTRY.layers] == [1] * 7 + [7]


def test_one_pixel_by_hand():
    picture = torch.zeros(1, 3, 4, 4)
    picture[0, 0, 1, 1], picture[0, 2, 1, 1] = 1.0, 0.5
    found = {name: values[0, 0] for name, values in maps_of(picture).items()}
    light = 0.299 + 0.114 / 2
    assert found["luminance"][1, 1].item() == pytest.approx(light)
    assert found["dark"][1, 1].item() == pytest.approx(1 - light) and found["dark"][3, 3] == 1
    assert found["saturation"][1, 1] == 1 and found["saturation"].count_nonzero() == 1
    assert found["red"][1, 1] == 1 and found["blue"][1, 1] == 0.5
    # Means 1/16 and 1/32: sqrt((15/16)^2 + (15/32)^2) / sqrt(3) at the pixel.
    assert found["deviation"][1, 1].item() == pytest.approx(np.hypot(15 / 16, 15 / 32) / 3**0.5)
    assert found["edges"][1, 1] == 0  # the middle of a spot has no slope
    assert found["edges"][0, 1].item() == pytest.approx(light / 2)  # the edge repeated: (Y_1 - Y_0) / 2
    assert found["edges"].count_nonzero() == 4


def test_a_grey_flat_picture_leans_nowhere():
    found = maps_of(torch.full((1, 3, 8, 8), 0.4))
    for name in ("edges", "saturation", "deviation"):
        assert found[name].abs().max() < 1e-6
    assert reduce_layer(found["saturation"]).focus["energy_total"].tolist() == [0.0]
    assert np.isnan(reduce_layer(found["saturation"]).focus["dipole_x"]).all()
    assert reduce_layer(found["luminance"]).focus["dipole_x"] == pytest.approx([0.0], abs=1e-12)


def test_the_last_layer_is_all_of_them_and_luminance_is_that_of_pixels():
    picture = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    found = maps_of(picture)
    assert torch.equal(torch.cat([found[name] for name in BANK], dim=1), found["bank"])
    baseline = load_catalog().models["pixels"]
    alone = Taps(build_network(baseline), baseline.layers)(picture)["luminance"]
    assert torch.equal(alone, found["luminance"])
    assert found["bank"].min() >= 0 and found["bank"].max() <= 1
