"""Compiled kernels give what eager ones give, or eager ones stay and the reason is told."""

import dataclasses

import pytest
import torch

from u1core.cells.forward import Extractor, _cast_weights, deviation
from u1core.common.runtime import Runtime, arithmetic


@pytest.fixture
def pixels():
    return torch.randint(
        0, 256, (4, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


def test_how_it_ran_is_said(cell):
    assert Extractor(cell, Runtime()).execution == "eager, 19 batch normalisations folded"


@pytest.fixture
def of_modules(cell):
    """A cell whose layers are all made by modules; the mean of this network is a function's."""
    layers = ("layer1", "layer2", "layer3")
    return dataclasses.replace(cell, model=dataclasses.replace(cell.model, layers=layers))


def test_a_layer_that_a_function_makes_is_not_compiled(cell, pixels):
    extractor = Extractor(cell, Runtime())
    extractor.compile(pixels)
    assert extractor.execution.endswith("not compiled: a function, not a module, makes a layer")


@pytest.mark.slow
# Of the compiler's own code, not of ours.
@pytest.mark.filterwarnings("ignore")
def test_compiled_kernels_agree(of_modules, pixels):
    extractor = Extractor(of_modules, Runtime())
    eager = extractor(pixels)
    extractor.compile(pixels)
    assert extractor.execution == "compiled, 19 batch normalisations folded"
    assert deviation(eager, extractor(pixels)) < 1e-4


@pytest.mark.parametrize(
    ("compiled", "reason"),
    [
        (lambda x: 1 / 0, "not compiled: torch.compile failed with ZeroDivisionError"),
        (None, "not compiled: layers would deviate by"),
    ],
)
def test_eager_kernels_stay_where_compiled_ones_fail(of_modules, pixels, monkeypatch, compiled, reason):
    extractor = Extractor(of_modules, Runtime())
    eager = extractor(pixels)
    wrong = compiled or (lambda x: {n: v * 1.1 for n, v in extractor.network(x).items()})
    monkeypatch.setattr(torch, "compile", lambda network, dynamic: wrong)
    extractor.compile(pixels)
    assert not extractor.is_compiled and reason in extractor.execution
    assert deviation(eager, extractor(pixels)) == 0


def test_a_network_that_folding_would_change_is_not_folded(cell, monkeypatch):
    monkeypatch.setattr("u1core.cells.forward.TOLERANCE", -1.0)
    extractor = Extractor(cell, Runtime())
    assert extractor.folded == 0 and "not folded: layers would deviate by" in extractor.execution


def test_weights_cast_once_are_what_autocast_makes_of_them(cell, pixels, monkeypatch):
    rough = dataclasses.replace(cell, precision="bfloat16")
    once = Extractor(rough, Runtime())
    monkeypatch.setattr("u1core.cells.forward._cast_weights", lambda network, dtype: None)
    each_time = Extractor(rough, Runtime())
    assert any(p.dtype == torch.bfloat16 for p in once.network.parameters())
    assert all(p.dtype == torch.float32 for p in each_time.network.parameters())
    for name, values in each_time(pixels).items():
        assert torch.equal(values, once(pixels)[name])


def test_only_plain_layers_are_cast():
    class Scaled(torch.nn.Conv2d):
        """Reads its weights itself."""

    network = torch.nn.Sequential(Scaled(3, 4, 1), torch.nn.Conv2d(4, 4, 1))
    _cast_weights(network, torch.bfloat16)
    assert [p.weight.dtype for p in network] == [torch.float32, torch.bfloat16]
    with arithmetic("cpu", "bfloat16"):
        assert network(torch.zeros(1, 3, 2, 2)).dtype == torch.bfloat16
