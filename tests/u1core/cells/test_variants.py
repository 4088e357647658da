"""Variants change one thing: pictures, inputs, activations, weights or precision."""

import dataclasses

import numpy as np
import pytest
import torch

from u1core.catalog.catalog import load_catalog
from u1core.cells.variants import GROUPS, VARIANTS, Variant, joined, select_variants
from u1core.common.errors import U1Error
from u1core.images.resize import luminance
from u1core.lake.connect import connect
from u1core.measures import optics
from u1core.measures.pixel_grid import UNIFORM_EE50_RADIUS
from u1core.measures.reduce import reduce_layer

PICTURE = torch.arange(2 * 3 * 4 * 3, dtype=torch.uint8).reshape(2, 3, 4, 3)


def centroid(pictures):
    """Return the energy centroid x + iy of pictures (B, H, W, C)."""
    focus = optics.focus(optics.energy(pictures.permute(0, 3, 1, 2).float())).numpy()
    return focus["dipole_x"] + 1j * focus["dipole_y"]


@pytest.mark.parametrize(
    ("variant", "moved"),
    [
        ("hflip", lambda d: -d.conj()),
        ("rot90", lambda d: 1j * d),
        ("rot180", lambda d: -d),
        ("rot270", lambda d: -1j * d),
        ("gray", lambda d: d),
        ("original", lambda d: d),
    ],
)
def test_what_happens_to_the_pictures_happens_to_the_centroid(variant, moved):
    generator = torch.Generator().manual_seed(0)
    grey = torch.randint(0, 256, (5, 8, 8, 1), dtype=torch.uint8, generator=generator).expand(-1, -1, -1, 3)
    np.testing.assert_allclose(centroid(VARIANTS[variant].pixels(grey)), moved(centroid(grey)), atol=1e-6)


def test_rotations_take_non_square_pictures():
    assert VARIANTS["rot90"].pixels(PICTURE).shape == (2, 4, 3, 3)


def test_gray_is_rec_601_luminance_in_every_channel():
    pure = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]], dtype=torch.uint8)
    grey = VARIANTS["gray"].pixels(pure.view(4, 1, 1, 3))
    assert grey.dtype == torch.uint8
    assert grey.flatten().tolist() == [76, 150, 29, 255]
    one_channel = PICTURE[..., :1]
    assert VARIANTS["gray"].pixels(one_channel) is one_channel


def test_luminance_keeps_grey():
    assert luminance(torch.full((1, 3, 1, 1), 0.25)).item() == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("variant", "row", "column"),
    [("shift-left", 2, 1), ("shift-right", 2, 3), ("shift-up", 1, 2), ("shift-down", 3, 2)],
)
def test_shifts_move_by_one_pixel(variant, row, column):
    x = torch.zeros(1, 3, 5, 5)
    x[:, :, 2, 2] = 1
    moved = VARIANTS[variant].inputs(x)
    assert moved.shape == x.shape
    assert moved.nonzero()[:, 2:].unique(dim=0).tolist() == [[row, column]]


def test_shifts_repeat_the_edge():
    x = torch.arange(4.0).view(1, 1, 1, 4)
    assert VARIANTS["shift-right"].inputs(x).flatten().tolist() == [0, 0, 1, 2]


def test_permuted_channels_are_the_same_channels_in_one_other_order():
    a = torch.rand(3, 16, 4, 4)
    permuted = VARIANTS["channel-permuted"].activations(a)
    assert not torch.equal(permuted, a)
    torch.testing.assert_close(permuted.sort(dim=1).values, a.sort(dim=1).values, rtol=0, atol=0)
    again = VARIANTS["channel-permuted"].activations(a[:1])
    torch.testing.assert_close(again, permuted[:1], rtol=0, atol=0)
    assert VARIANTS["channel-permuted"].activations(torch.rand(2, 16)).shape == (2, 16)


def test_a_pooled_vector_is_a_map_of_one_pixel():
    reduced = reduce_layer(torch.tensor([[3.0, 4.0]]))
    assert reduced.energy_map.tolist() == [[[25.0]]]
    assert reduced.focus["dipole_x"].tolist() == [0.0]
    assert reduced.focus["ee50_radius"][0] == pytest.approx(UNIFORM_EE50_RADIUS, abs=0.002)
    assert all(np.isnan(reduced.focus[name][0]) for name in ("anisotropy", "sombrero_b", "quadrupole_x"))


def test_selection_by_name_group_and_glob():
    assert select_variants("original") == ("original",)
    assert select_variants("original, shift-*,original")[1:] == (
        *("shift-left", "shift-right", "shift-up", "shift-down"),
    )
    assert {"original", *select_variants(",".join(GROUPS))} == set(VARIANTS) == set(select_variants("*"))
    native, circular = (
        tuple(f"{padding}random-init:{seed}" for seed in range(20)) for padding in ("", "pad-circular+")
    )
    assert select_variants("random-init:*") == native and select_variants("*+random-init:*") == circular
    assert select_variants("population") == native + circular
    assert select_variants("template") == ("constant", "phase-noise", "white")
    assert {"pad-circular", "pad-reflect", "roll"} < set(select_variants("attribution"))


def test_plain_random_weights_are_what_they_were():
    plain, first = VARIANTS["random-init"], VARIANTS["random-init:0"]
    assert plain == Variant("controls", trained=False)
    assert (first.seed, first.norms, VARIANTS["random-init:19"].seed) == (0, "reestimated", 19)


def test_random_weights_under_circular_padding_are_those_of_their_seed():
    for seed in (0, 19):
        native, circular = VARIANTS[f"random-init:{seed}"], VARIANTS[f"pad-circular+random-init:{seed}"]
        assert circular == dataclasses.replace(native, padding="circular")


def test_joined_variants_do_what_both_do():
    both = joined(VARIANTS["shift-left"], VARIANTS["pad-circular"], "attribution")
    both = joined(both, VARIANTS["hflip"], "attribution")
    x = torch.rand(1, 3, 5, 5)
    assert both.inputs is VARIANTS["shift-left"].inputs and both.pixels is VARIANTS["hflip"].pixels
    assert (both.padding, both.norms, both.trained, both.asks_head) == ("circular", "moved", True, False)
    random = joined(VARIANTS["pad-circular"], VARIANTS["random-init:3"], "population")
    assert (random.norms, random.trained) == ("reestimated", False)  # nothing was stored that could move
    assert both.changes_network and not both.shows_in_pictures
    twice = joined(VARIANTS["shift-left"], VARIANTS["shift-up"], "jitter")
    in_turn = VARIANTS["shift-up"].inputs(VARIANTS["shift-left"].inputs(x))
    assert torch.equal(twice.inputs(x), in_turn) and twice.shows_in_pictures


def test_what_contradicts_itself_is_not_joined():
    with pytest.raises(U1Error, match="one padding in a joined variant; got circular and reflect"):
        joined(VARIANTS["pad-circular"], VARIANTS["pad-reflect"], "attribution")


def test_an_unknown_variant_is_one_clear_line():
    with pytest.raises(
        U1Error, match=r"'rot45'.*controls, jitter, attr.*rot90.*random-init:0 to :19, pad-.*:19"
    ):
        select_variants("original,rot45")


def test_variants_that_pictures_alone_show():
    shown = {name for name, variant in VARIANTS.items() if variant.shows_in_pictures}
    of_networks = {"random-init", "channel-permuted", "bfloat16", "reestimated", "unit-channels"}
    assert set(VARIANTS) - shown == of_networks | {
        "pad-circular",
        "pad-reflect",
        "pad-circular+roll",
        *select_variants("population"),
    }


def test_the_baseline_is_the_luminance_of_the_picture():
    from u1core.networks.build import build_network
    from u1core.networks.preprocess import preprocessor
    from u1core.networks.taps import Taps

    entry = load_catalog().models["pixels"]
    extractor = Taps(build_network(entry), entry.layers)
    picture = torch.zeros(1, 32, 32, 3, dtype=torch.uint8)
    picture[0, 0, 0, 1] = 255
    found = extractor(preprocessor(entry)(picture))["luminance"]
    assert found.shape == (1, 1, 32, 32)
    assert found[0, 0, 0, 0].item() == pytest.approx(0.587)
    assert found.count_nonzero() == 1


def test_sql_knows_what_every_variant_does():
    with connect(None, ["variant_transforms"]) as connection:
        rows = connection.execute("select variant from variant_transforms").fetchall()
    assert {name for (name,) in rows} == set(VARIANTS)
