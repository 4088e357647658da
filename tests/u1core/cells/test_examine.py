"""What an examination of an entry sees, on real networks made to go wrong in one way each."""

import linecache
import pathlib
import sys
from dataclasses import replace

import pytest
from safetensors.torch import save_file

from u1core.catalog.catalog import load_catalog
from u1core.cells.examine import examine_model
from u1core.networks.build import build_network
from u1core.networks.identity import identity_of
from u1core.networks.references import model_reference
from u1core.networks.resolve import resolve
from u1core.networks.weights import pin

CATALOG = load_catalog()
RESNET20 = CATALOG.models["cifar10_resnet20"]

CODE = """
import torch
from torch import nn
from torch.nn import functional


class Network(nn.Module):
    def __init__(self, trick):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 2, 1)
        self.head, self.trick = nn.Linear(4, 2), trick

    def forward(self, x):
        x = self.second(functional.relu(self.first(x)))
        return self.head(functional.relu(self.trick(x)).mean((2, 3)))


def good():
    return Network(lambda x: x)


def noisy():
    return Network(lambda x: x + torch.rand_like(x))


def coupled():
    return Network(lambda x: x - x.mean(0))


def pretrained():
    torch.manual_seed(3)
    return good()


def infinite():
    return Network(lambda x: x / 0)
"""


@pytest.fixture(scope="module")
def code(tmp_path_factory):
    folder = tmp_path_factory.mktemp("code")
    (folder / "tricky_networks.py").write_text(CODE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("U1_ALLOW_CODE", "1")
        yield
        sys.modules.pop("tricky_networks", None)


def of(name):
    (entry,) = model_reference(f"code:tricky_networks:{name}", "none")
    return replace(entry, preprocessing=replace(RESNET20.preprocessing, size=16))


def states(findings):
    return {finding.about: finding.state for finding in findings}


def test_a_good_network_with_random_weights(code):
    findings = examine_model(of("good"))
    assert states(findings) == {"path": "ok", "weights": "note", "batch": "ok"}


def test_a_function_that_builds_no_random_network_is_noticed(code):
    notes = [finding.text for finding in examine_model(of("pretrained")) if finding.state == "note"]
    assert notes[0].startswith("the function gives the same weights at any seed")


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("noisy", "the same values twice; got relu_1, mean: drawn anew by rand_like"),
        (
            "coupled",
            "rest of the batch; got relu_1, mean_1: others alone than in a batch, from mean on",
        ),
        ("infinite", "finite values; got relu_1: "),
    ],
)
def test_what_one_batch_shows(code, name, fault):
    last = examine_model(of(name))[-1]
    assert (last.about, last.state) == ("batch", "fault")
    assert fault in last.text


def test_another_source_is_another_network(code, tmp_path_factory):
    """Same key, same bytes: a cell of the user's code is never reused when that code changes."""
    import inspect

    import tricky_networks

    before = identity_of(resolve(of("good")))
    assert before["architecture"].startswith("code:tricky_networks:good#")
    path = pathlib.Path(inspect.getsourcefile(tricky_networks))
    path.write_text(CODE + "\nWIDTH = 5\n")
    linecache.checkcache(str(path))
    try:
        assert identity_of(resolve(of("good"))) != before
    finally:
        path.write_text(CODE)
        linecache.checkcache(str(path))
    assert identity_of(resolve(of("good"))) == before


def test_layers_that_do_not_exist_or_do_not_fall():
    wrong = {
        ("layer1", "layer4"): "'layer4'; nearest: .*layer3",
        ("layer2", "layer1"): "in order of falling resolution",
    }
    for layers, message in wrong.items():
        (finding,) = examine_model(replace(RESNET20, layers=layers, bottleneck=layers[-1]), trained=False)
        assert (finding.about, finding.state) == ("path", "fault")
        assert pytest.importorskip("re").search(message, finding.text)


def test_other_layers_than_the_finder_takes_are_a_note():
    by_hand = replace(RESNET20, layers=("layer1.0", "layer2.0", "layer3.0"), bottleneck="layer3.0")
    findings = examine_model(by_hand, trained=False)
    assert "fault" not in states(findings).values()
    fewer = replace(RESNET20, layers=("layer2", "layer3"), bottleneck="layer3")
    notes = [finding.text for finding in examine_model(fewer, trained=False) if finding.state == "note"]
    assert "the finder takes others: layer1 (16 x 32 x 32), mean (64 x 1 x 1)" in notes


def test_weights_that_are_not_the_promised_ones(tmp_path):
    save_file(build_network(RESNET20, trained=False).state_dict(), tmp_path / "w.safetensors")
    entry = replace(RESNET20, weights="file:w.safetensors", sha256="0" * 64)
    finding = examine_model(entry, tmp_path)[-1]
    assert (finding.about, finding.state) == ("weights", "fault")
    assert "sha256 0000" in finding.text
    good = pin(replace(entry, sha256=""), tmp_path)
    assert examine_model(good, tmp_path)[-1].state == "ok"
    # of another architecture: told by the batch's network, in one line
    other = examine_model(replace(good, architecture="cifar_resnet:32"), tmp_path)[-1]
    assert other.state == "fault" and "\n" not in other.text


def test_what_changed_upstream():
    (entry,) = model_reference("timm:resnet18.a1_in1k")
    entry = resolve(entry)
    assert "upstream" not in states(examine_model(entry, trained=False))
    older = replace(
        entry, preprocessing=replace(entry.preprocessing, crop_pct=0.5), label_space="imagenet21k"
    )
    notes = [f.text for f in examine_model(older, trained=False) if f.about == "upstream"]
    assert notes[0] == "label space is now imagenet1k, the entry says imagenet21k"
    assert notes[1].startswith("preprocessing is now {") and '"crop_pct": 0.5' in notes[1]


def test_signed_activations_are_announced():
    findings = examine_model(CATALOG.models["mobilenet_v3_large"], trained=False)
    (sign,) = [finding for finding in findings if finding.about == "sign"]
    assert sign.text == "4 of 6 layers go below zero (hardswish): see negative_share"


def test_the_baseline_is_no_exception():
    assert "fault" not in states(examine_model(CATALOG.models["pixels"])).values()
