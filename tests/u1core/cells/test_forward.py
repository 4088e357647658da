"""Compiled kernels give what eager ones give, or eager ones stay and the reason is told."""

import dataclasses

import numpy as np
import pytest
import torch

from u1core.cells.forward import Extractor, _cast_weights, deviation
from u1core.common.errors import U1Error
from u1core.common.runtime import Runtime, arithmetic
from u1core.networks import padding


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


# -- variants that change the network -----------------------------------------------------------------


@pytest.fixture
def trained(catalog, cell):
    """A cell of a network whose weights come with this package."""
    return dataclasses.replace(cell, model=catalog.models["resnet20_onehot"], variant="original")


def changed(cell, variant, memory=None, **fields):
    """Return the extractor of a cell's variant; its memory is noise unless told."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    of = dataclasses.replace(cell, variant=variant, **fields)
    return Extractor(of, Runtime(), memory=memory or remembered(noise, 25))


def remembered(pictures, size):
    """Return what gives pictures and their ids, some at a time."""
    parts = [slice(start, start + size) for start in range(0, len(pictures), size)]
    ids = list(range(len(pictures)))
    return lambda count: ((pictures[part], ids[part]) for part in parts)


def test_what_a_variant_changed_is_said(trained):
    circular = changed(trained, "pad-circular")
    assert circular.execution == (
        "eager, 19 batch normalisations folded; 19 paddings circular, 19 batch norms moved over 40 pictures"
    )
    assert changed(trained, "unit-channels").execution.endswith("folded; unit channels over 40 pictures")


def test_seeds_are_other_networks_and_each_is_itself_again(cell, pixels):
    one, again, other = (changed(cell, f"random-init:{seed}")(pixels)["mean"] for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.allclose(one, other, rtol=0.1)


def test_batches_of_the_memory_make_no_difference(trained, pixels):
    noise = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    for variant in ("reestimated", "unit-channels"):
        at_once = changed(trained, variant, remembered(noise, 40))(pixels)
        in_turn = changed(trained, variant, remembered(noise, 7))(pixels)
        assert deviation(at_once, in_turn) < 1e-5


def test_who_gives_no_memory_is_told(trained):
    with pytest.raises(U1Error, match="pictures of the memory split for variant pad-reflect; got none"):
        Extractor(dataclasses.replace(trained, variant="pad-reflect"), Runtime())


def test_a_padding_that_cannot_be_changed_fails_the_cell(trained, monkeypatch):
    monkeypatch.setitem(padding._ALWAYS_REFUSED, "relu", "a rectifier, today")
    with pytest.raises(
        U1Error, match=r"padding of resnet20_onehot that can be made circular; got .*relu: a rect"
    ):
        changed(trained, "pad-circular")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_gauge_brings_channels_to_one_and_leaves_the_head(trained, precision):
    noise = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    model = dataclasses.replace(trained.model, label_space="digits")
    of = dataclasses.replace(trained, model=model)
    gauged = changed(of, "unit-channels", precision=precision)(torch.from_numpy(noise))
    plain = changed(of, "original", precision=precision)(torch.from_numpy(noise))
    assert torch.equal(gauged["head"], plain["head"])
    for name in of.model.layers:
        size = gauged[name].transpose(0, 1).flatten(1).double().square().mean(1).sqrt()
        heard = size > 0
        rounding = {"float32": 1e-5, "bfloat16": 1e-2}[precision]
        torch.testing.assert_close(size[heard], torch.ones_like(size[heard]), rtol=rounding, atol=0)
        assert heard.double().mean() > 0.9


def test_a_padding_holds_in_bfloat16(trained, pixels):
    exact, rough = (
        changed(trained, "pad-circular", precision=name)(pixels) for name in ("float32", "bfloat16")
    )
    assert 0 < deviation(exact, {n: v.float() for n, v in rough.items()}) < 1
