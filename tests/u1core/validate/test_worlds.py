"""Worlds of known answer: pictures hold what they should, networks read it, verdicts are counted."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from u1core.cells.variants import SEEDED
from u1core.networks.reestimate import reestimate
from u1core.networks.sources.small_cnn import SmallCnn
from u1core.validate import rules, trainings, worlds
from u1core.validate.rules import STATES, judge
from u1core.validate.worlds import OPPOSED, PLACES, Maps, Reader, Scene, paint

SHAPE = (1, PLACES, PLACES)
HUES = arrays(float, (1, 2, PLACES, PLACES), elements=st.floats(-0.5, 0.5))


def inputs(pixels):
    return (torch.from_numpy(pixels).permute(0, 3, 1, 2).expand(-1, 3, -1, -1) / 255 - 0.5) / 0.5


def network(state):
    built = SmallCnn(16, worlds.CLASSES).eval()
    built.load_state_dict(state)
    return built


def bottleneck(built, x):
    with torch.inference_mode():
        return built.stage3(built.pool(built.stage2(built.pool(built.stage1(x)))))


@pytest.fixture(scope="module")
def pictures():
    images = worlds.draw_images(Scene(worlds.leaning, worlds.coloured), 10, np.random.default_rng(0))
    return inputs(images.pixels), images


@settings(max_examples=20, deadline=None)
@given(hue=HUES)
def test_hues_show_in_no_energy_of_the_picture(hue):
    """The mean square of every block is that of the textures together, whatever their balance."""
    pixels = paint(Maps(hue, np.zeros(SHAPE), np.zeros(SHAPE)))
    blocks = (pixels[0, ..., 0] / 127.5 - 1).reshape(PLACES, 4, PLACES, 4)
    assert np.abs(np.square(blocks).mean(axis=(1, 3)) - 0.4**2).max() < 0.005  # of 8 bits
    assert np.abs(blocks.mean(axis=(1, 3))).max() < 0.005
    # Central differences, by which the pixel bank sees edges, see nothing inside a block.
    assert np.abs(blocks[:, 1:3, :, 2] - blocks[:, 1:3, :, 0]).max() < 0.01


def test_light_is_what_blocks_mean_and_nothing_of_a_hue():
    grey = np.linspace(-0.2, 0.2, PLACES**2).reshape(SHAPE)
    flat = np.zeros((1, 2, PLACES, PLACES))
    pixels = paint(Maps(flat, grey, np.zeros(SHAPE)))
    blocks = (pixels[0, ..., 0] / 127.5 - 1).reshape(PLACES, 4, PLACES, 4)
    assert blocks.mean(axis=(1, 3)) == pytest.approx(grey[0], abs=0.005)
    plain = paint(Maps(flat, np.zeros(SHAPE), np.zeros(SHAPE)))
    reader = Reader(mixed=OPPOSED * (np.arange(8) < 6)[:, None])
    built = network(worlds.written(reader, inputs(np.concatenate([pixels, plain])), np.array([0, 1])))
    seen = bottleneck(built, inputs(np.concatenate([pixels, plain])))
    assert float((seen[0] - seen[1]).abs().max()) < 0.02


def test_a_written_network_is_as_if_trained_on_its_pictures(pictures):
    x, images = pictures
    built = network(worlds.written(Reader(), x, images.labels))
    before = bottleneck(built, x)
    assert reestimate(built, x, "written") == 3
    assert torch.allclose(bottleneck(built, x), before, atol=1e-4)


def test_its_last_stage_gives_what_its_weights_say(pictures):
    """The three textures of a balanced block are alike: 0.4 / sqrt(3) each, passed on by every stage."""
    flat = paint(
        Maps(np.zeros((2, 2, PLACES, PLACES)), np.zeros((2, PLACES, PLACES)), np.zeros((2, PLACES, PLACES)))
    )
    built = network(worlds.written(Reader(), inputs(flat), np.array([0, 1])))
    with torch.inference_mode():
        textures = built.pool(built.stage1(inputs(flat)))
    assert textures[0, :3, 3, 3].numpy() == pytest.approx(0.4 / np.sqrt(3), abs=0.005)
    stage2 = np.array([1, 1, 1, 0, 2, 2, 2, 3]) * 0.4 / np.sqrt(3)
    expected = np.concatenate([stage2 + 0.5 * np.roll(stage2, -3), stage2 + 0.25 * np.roll(stage2, -5)])
    assert bottleneck(built, inputs(flat))[0, :, 3, 3].numpy() == pytest.approx(expected, abs=0.05)


def test_random_weights_come_by_their_seed(pictures):
    x, images = pictures
    one, same, other = (worlds.drawn(seed, x, images.labels) for seed in (3, 3, 4))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["stage1.0.weight"], other["stage1.0.weight"])


def test_every_claim_has_worlds_where_it_is_false_and_names_are_unique():
    names = [world.name for pictures in rules.KINDS.values() for world in pictures.worlds]
    names += [training.name for training in trainings.TRAININGS]
    assert len(set(names)) == len(names)
    truths = rules._truths()
    for claim in range(1, 6):
        assert "false" in {truth for (_, of), truth in truths.items() if of == claim}
    assert {claim for (_, claim), truth in truths.items() if truth == "may hold"} >= {1, 2, 3, 5}
    assert set(rules.NATIVE) <= set(SEEDED)
    assert len(rules.NATIVE) == 20


def said(held, draws):
    return [("holds",) * 3] * held + [("holds", "refuted", "refuted")] * (draws - held)


@pytest.mark.parametrize(("held", "passed"), [(4, True), (5, False)])
def test_false_holds_beyond_chance_are_a_failure(held, passed):
    """Of 20 draws at 5 % at most 4 in the 99 % band."""
    outcome = judge({("a dome", 2): said(held, 20)})
    assert [finding.passed for finding in outcome.findings] == [passed] * 3
    row = outcome.tables[0].rows[0]
    assert row[:4] == ("2", "a dome", "false", "20")
    assert row[4] == "100 / 0 / 0 / 0"
    assert row[6] == f"{5 * held} / {5 * (20 - held)} / 0 / 0"
    assert len(STATES) == 4


@pytest.mark.parametrize(("held", "passed"), [(1, True), (0, False)])
def test_what_is_plainly_true_must_be_seen(held, passed):
    (finding,) = judge({("a Sombrero", 2): said(held, 2)}).findings
    assert finding.passed == passed
