"""Two pictures before a cell's first part: rows alone are rows in a batch, or the cell is one line."""

import dataclasses

import numpy as np
import pytest
import torch
from test_extract import rows, run
from torch import nn

from u1core.cells import canary as module
from u1core.cells import extract
from u1core.cells.forward import Extractor
from u1core.cells.open_cell import OpenCell
from u1core.common.errors import U1Error
from u1core.common.runtime import Runtime
from u1core.measures.sums import Timing


class Changed(nn.Module):
    """What a network gives, changed from layer1 on."""

    def __init__(self, taps, change):
        super().__init__()
        self.taps, self.change = taps, change

    def forward(self, x):
        return {name: self.change(maps) for name, maps in self.taps(x).items()}


@pytest.fixture
def with_change(monkeypatch):
    """Let every extractor change its activations."""

    def change(how):
        def init(self, *arguments, real=Extractor.__init__, **options):
            real(self, *arguments, **options)
            self.network = self._run = Changed(self.network, how)

        monkeypatch.setattr(Extractor, "__init__", init)

    return change


def committed(cell, images, lake, runtime=None):
    (row,) = run(cell, images, lake, runtime).cells().values()
    return row


def test_what_the_batch_changes_is_recorded(cell, digits, lake):
    """Rounding: other kernels for one picture than for thirty-two."""
    assert 0 <= committed(cell, digits, lake)["canary_difference"] < 1e-5


@pytest.mark.parametrize("size", [1, 2, 32])
def test_an_exact_difference(cell, digits, lake, with_change, size):
    """Ones times 1 + B / 2^16 for B pictures: energies differ by twice as much as pooled vectors."""
    with_change(lambda maps: maps.new_ones(maps.shape) * (1 + len(maps) / 2**16))
    found = committed(cell, digits, lake, Runtime(batch_size=size))["canary_difference"]
    ratio = (1 + 1 / 2**16) / (1 + max(size, 2) / 2**16)
    assert found == pytest.approx(1 - ratio**2, abs=5e-7)


@pytest.mark.parametrize("size", [1, 16])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda maps: maps - maps.mean(0),
            "a picture alone the rows it has in a batch; got rows that differ",
        ),
        (
            lambda maps: maps + maps.mean(0),
            "a picture alone the rows it has in a batch; got rows that differ",
        ),
        (
            lambda maps: maps * torch.rand(()),
            "a picture the same rows twice; got rows that differ by .* at layer1",
        ),
        (lambda maps: maps if len(maps) > 1 else maps * torch.nan, "differ by inf"),
    ],
)
def test_a_cell_that_hangs_on_its_batch_is_one_line(cell, digits, lake, with_change, size, change, message):
    with_change(change)
    opened = OpenCell(cell, digits, lake)
    with pytest.raises(U1Error, match=message) as refused:
        extract.extract(opened, Runtime(batch_size=size))
    assert "\n" not in str(refused.value) and "cifar10_resnet20" in str(refused.value)
    assert opened.state.names() == [] and rows(lake, "records") == []


def test_pictures_that_give_nothing_finite_are_left_to_the_failures(cell, digits, lake, with_change):
    """The first batch has none; the canary waits for the next one."""
    seen = []

    def first_batch_fails(maps):
        seen.append(len(maps))
        return maps * torch.nan if len(seen) <= 4 else maps  # four layers

    with_change(first_batch_fails)
    row = committed(cell, digits, lake, Runtime(batch_size=60))
    assert (row["rows"], row["failures"]) == (60, 60)
    assert row["canary_difference"] < 1e-5


@pytest.mark.parametrize("precision", module.TOLERANCE)
def test_rounding_stays_below_the_tolerance(cell, precision):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    extractor = Extractor(dataclasses.replace(cell, precision=precision), Runtime())
    together = module._rows(extractor, pixels, [0, 1])
    assert module.canary(extractor, pixels, [0, 1], together) < 0.1 * module.TOLERANCE[precision]


def test_what_it_costs(cell, digits, lake, monkeypatch):
    """Four passes of one picture, whatever the cell's size."""
    calls = []
    real = Extractor.eager
    monkeypatch.setattr(
        Extractor, "eager", lambda self, *batch: (calls.append(len(batch[0])), real(self, *batch))[1]
    )
    monkeypatch.setattr(extract, "PART_IMAGES", 40)
    run(cell, digits, lake)
    assert calls == [1, 1, 1, 1]


def test_the_largest_of_all_parts_counts():
    one, none, other = Timing(1.0, canary=1e-7), Timing(1.0), Timing(1.0, canary=1e-6)
    assert one.plus(none).plus(other).canary == 1e-6
    assert none.plus(none).canary is None
