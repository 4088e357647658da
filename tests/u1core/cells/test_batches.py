"""Batches of one shape: filled up, halved where memory ends, sized by trying, remembered."""

import dataclasses

import numpy as np
import pytest
import torch

from u1core.cells import batches as module
from u1core.cells.batch_size import Remembered, default_batch_size, fastest_batch_size
from u1core.cells.batches import Batches
from u1core.cells.forward import Extractor
from u1core.common.clock import Clock
from u1core.common.errors import U1Error
from u1core.common.runtime import Runtime


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("U1_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def run(cell, digits, own_cache):
    def run(batch_size=16, images=100):
        extractor = Extractor(cell, Runtime(batch_size=batch_size))
        return Batches(extractor, digits.pixels.shape[1:], images, Clock())

    return run


def out_of_memory(self, pixels, image_ids, at_most, real=Extractor.__call__):
    if len(pixels) > at_most:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
    return real(self, pixels, image_ids)


def test_a_short_batch_is_filled_up_and_cut_again(run, digits):
    seen = []
    batches = run(16)
    real = batches.extractor
    batches.extractor = lambda *batch: (seen.append([len(each) for each in batch]), real(*batch))[1]
    batches.extractor.signed = real.signed
    answer = batches(np.array(digits.pixels[:5]), range(5))
    assert seen == [[16, 16]]
    assert {len(layer.energy) for layer in answer.layers.values()} == {5} and len(answer.bottleneck) == 5


def test_running_out_of_memory_halves_until_it_fits_and_loses_nothing(run, cell, digits, monkeypatch):
    whole = run(16)(np.array(digits.pixels[:16]), range(16))
    monkeypatch.setattr(Extractor, "__call__", lambda self, *batch: out_of_memory(self, *batch, 5))
    batches = run(16)
    answer = batches(np.array(digits.pixels[:16]), range(16))
    assert batches.size == 4
    for name, layer in whole.layers.items():
        np.testing.assert_allclose(answer.layers[name].pooled, layer.pooled, rtol=1e-4, atol=1e-5)
    assert len(answer.bottleneck) == 16
    assert Remembered(module.default_cache()).get(cell, Runtime()) == 4


def test_no_memory_for_one_image_is_one_line(run, digits, monkeypatch):
    monkeypatch.setattr(Extractor, "__call__", lambda self, *batch: out_of_memory(self, *batch, 0))
    with pytest.raises(U1Error, match="memory for one image of cifar10_resnet20"):
        run(4)(np.array(digits.pixels[:4]), range(4))


def test_another_error_is_no_lack_of_memory(run, digits, monkeypatch):
    def broken(self, pixels, image_ids):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(Extractor, "__call__", broken)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        run(4)(np.array(digits.pixels[:4]), range(4))


def test_what_was_found_is_remembered_for_this_network_and_precision(cell, own_cache):
    remembered, runtime = Remembered(own_cache), Runtime()
    assert remembered.get(cell, runtime) is None
    remembered.put(cell, runtime, 24)
    assert Remembered(own_cache).get(cell, runtime) == 24
    assert remembered.get(dataclasses.replace(cell, precision="bfloat16"), runtime) is None
    (own_cache / "batch_sizes.json").write_text("{ damaged")
    assert remembered.get(cell, runtime) is None


def test_a_cache_that_cannot_be_written_stops_nothing(cell, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    remembered = Remembered(tmp_path / "cache")
    remembered.put(cell, Runtime(), 24)
    assert remembered.get(cell, Runtime()) is None


def test_few_images_are_not_worth_trying(run, monkeypatch):
    monkeypatch.setattr(module, "fastest_batch_size", lambda *_: pytest.fail("tried"))
    assert run(batch_size=None, images=100).size == default_batch_size(32 * 32)


def test_many_images_are(run, monkeypatch):
    monkeypatch.setattr(module, "fastest_batch_size", lambda *_: 2)
    assert run(batch_size=None, images=10**6).size == 2


@pytest.mark.parametrize(("best", "found"), [(8, 8), (64, 64), (2, 2)])
def test_the_fastest_size_is_found_around_the_first(monkeypatch, best, found):
    seconds = {size: 0.5 if size <= best else 2.0 * size / best for size in (2, 4, 8, 16, 32, 64, 128)}
    monkeypatch.setattr("u1core.cells.batch_size._seconds", lambda run, size: seconds[size])
    assert fastest_batch_size(lambda size: None, 8, "cpu") == found


def test_sizes_beyond_memory_are_never_the_fastest(monkeypatch):
    def run(size):
        if size > 16:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr("u1core.cells.batch_size._seconds", lambda run, size: 1.0)
    assert fastest_batch_size(run, 8, "cpu") == 16
