"""`u1 catalog` as a new user types it: add, list, show, check, sweep, ask; what is hostile is one line."""

import os
import pickle
import re
import sys

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file


@pytest.fixture
def pictures(tmp_path):
    """Two classes of twelve JPEGs whose colour is their class, one broken, one foreign file."""
    generator = np.random.default_rng(0)
    for name, red in (("cats", 220), ("dogs", 30)):
        (tmp_path / "pics" / name).mkdir(parents=True)
        for i in range(12):
            pixels = generator.integers(0, 60, (40, 50, 3), dtype=np.uint8)
            pixels[10:20, 5 + 3 * i % 40 :, 0] = red
            Image.fromarray(pixels).save(tmp_path / "pics" / name / f"{i:02}.jpg", quality=95)
    (tmp_path / "pics" / "cats" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "pics" / "cats" / "notes.txt").write_text("whiskers")
    return tmp_path / "pics"


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=2)
    save_file(network.state_dict(), tmp_path / "mine.safetensors")
    return tmp_path / "mine.safetensors"


@pytest.fixture
def here(u1):
    """Run `u1` where code of the user's own is allowed, or not."""
    return lambda *arguments, allow="": u1(*arguments, U1_ALLOW_CODE=allow)


def ok(done):
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(done):
    assert done.returncode == 1, done.stdout
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


@pytest.mark.slow
def test_from_nothing_to_an_answer(u1, ask, tmp_path, pictures, weights):
    added = ok(u1("catalog", "add", "torchvision:regnet_y_400mf", "--weights", "none", "--id", "regnet"))
    assert (
        "trunk_output.block4" in added and "bottleneck" in added and "added regnet to catalog.toml" in added
    )
    added = ok(u1("catalog", "add", "timm:test_resnet", "--weights", "file:mine.safetensors", "--id", "mine"))
    assert str(weights) in added
    added = ok(u1("catalog", "add", "folder:pics", "--size", "40"))
    assert "24 images: memory 12, query 12; 40 x 40 x 3" in added
    assert "1 of 25 pictures: cats/broken.jpg" in added and "1 other files (1 .txt): cats/notes.txt" in added

    listed = ok(u1("catalog", "list", "regnet,mine,pics"))
    assert "2 models, 1 datasets" in listed
    assert "56 x 56" in ok(u1("catalog", "show", "regnet"))

    planned = ok(u1("plan", "--models", "regnet,mine", "--datasets", "pics"))
    assert "2 of 2 cells to run: 48 images" in planned
    swept = ok(u1("sweep", "--models", "regnet,mine", "--datasets", "pics", "--location-limit", "0"))
    assert "2 cells computed, 0 found done, 0 failed" in swept
    cells = ask("select model, weights, weights_sha256 is null, rows, failures from cells order by model")
    assert cells == [
        ["mine", f"file:{weights}", "false", "24", "1"],
        ["regnet", '"random', ' seed 0"', "true", "24", "1"],
    ]
    assert ask("select count(*), count(distinct image_id) from records where model = 'mine'")[0][1] == "24"
    assert ask("select distinct image_id, stage from failures") == [["12", "decode"]]
    again = ok(u1("sweep", "--models", "regnet,mine", "--datasets", "pics", "--location-limit", "0"))
    assert "0 cells computed, 2 found done" in again


@pytest.mark.slow
def test_no_entry_is_needed(u1_apart, ask, pictures, tmp_path):
    """A folder and a glob over timm, whose weights are not to be had: they are lost, one line each."""
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    models = "timm:test_resnet*,timm:test_vit*,cifar10_resnet20"
    done = u1_apart("sweep", "--models", models, "--datasets", "folder:pics", "--limit", "6", **offline)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("u1: ")]
    assert any("timm.test_resnet" in line and "failed" in line for line in lines)
    assert any("timm.test_vit" in line and "tokens instead" in line for line in done.stderr.splitlines())
    assert "Traceback" not in done.stderr
    assert ask("select model, status from lake.cells where model like 'timm%'")[0][1] == "failed"


def test_a_checkpoint_that_would_run_code_is_refused(here, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'executed'}",)

    for name in ("evil.pth", "evil.safetensors"):
        (tmp_path / name).write_bytes(pickle.dumps({"weight": Evil()}))
        said = refused(here("catalog", "add", "timm:test_resnet", "--weights", f"file:{name}"))
        assert name in said
    torch.save({"weight": torch.zeros(2), "evil": Evil()}, tmp_path / "zipped.pth")
    assert "zipped.pth" in refused(here("catalog", "add", "timm:test_resnet", "--weights", "file:zipped.pth"))
    assert not (tmp_path / "executed").exists()
    assert not (tmp_path / "catalog.toml").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "timm:resnet10q"], "nearest: .*resnet10t"),
        (["add", "torchvision:resnet50@IMAGENET1K_V9"], "IMAGENET1K_V1"),
        (["add", "timm:vit_tiny_patch16_224", "--weights", "none"], "a pure transformer has tokens instead"),
        (["add", "timm:resnet1*"], "one model to add"),
        (["add", "code:os:abort", "--weights", "none"], "U1_ALLOW_CODE"),
        (["add", "somewhere:model"], "timm:<name>"),
        (["add", "timm:test_resnet", "--weights", "file:../up.safetensors"], r"\.\."),
        (["add", "timm:test_resnet", "--weights", "file:no.txt"], "file:<"),
        (["add", "folder:nowhere"], "nowhere"),
        (["add", "folder:empty"], "empty"),
        (["add", "torchvision:CocoDetection"], "CocoDetection"),
        (
            ["add", "cifar_resnet:20", "--weights", "none", "--id", "resnet50"],
            "an id that no built-in entry has",
        ),
        (["add", "folder:empty", "--weights", "none"], "--weights with a model"),
        (["check", "resnet51"], "nearest: .*resnet50"),
        (["list", "nothing*"], "lets something through"),
        (["show", "folder:nowhere"], "nowhere"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(here, tmp_path, arguments, said):
    (tmp_path / "empty").mkdir()
    assert re.search(said, refused(here("catalog", *arguments)))
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_an_entry_twice(here, tmp_path):
    entry = '[models.mine]\narchitecture = "cifar_resnet:20"\nweights = "none"\nlabel_space = "x"\n'
    (tmp_path / "catalog.toml").write_text(entry + entry)
    assert "mine" in refused(here("catalog", "list"))
    (tmp_path / "catalog.toml").write_text(entry)
    before = (tmp_path / "catalog.toml").read_text()
    said = refused(here("catalog", "add", "cifar_resnet:20", "--weights", "none", "--id", "mine"))
    assert "an id that catalog.toml does not have" in said
    assert (tmp_path / "catalog.toml").read_text() == before
    assert "layer3, 64 x 8 x 8" in ok(here("catalog", "check", "mine"))


OWN_NETWORK = """
from torch import nn


def small():
    maps = [nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU()]
    return nn.Sequential(*maps, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
"""


def test_code_of_the_users_own(here, tmp_path, monkeypatch):
    (tmp_path / "u1_own_network.py").write_text(OWN_NETWORK)
    monkeypatch.syspath_prepend(tmp_path)
    command = ("catalog", "add", "code:u1_own_network:small", "--weights", "none", "--id", "own")
    assert "U1_ALLOW_CODE=1" in refused(here(*command))
    assert "u1_own_network" not in sys.modules
    assert "--preprocessing <model>" in refused(here(*command, allow="1"))
    ok(here(*command, "--preprocessing", "cifar10_resnet20", allow="1"))
    assert "only where U1_ALLOW_CODE=1" in ok(here("catalog", "show", "own"))
    shown = ok(here("catalog", "show", "own", allow="1"))
    assert "16 x 16" in shown and '"size": 32' in shown


def test_a_fault_ends_with_status_1(here, tmp_path):
    (tmp_path / "catalog.toml").write_text(
        '[models.mine]\narchitecture = "cifar_resnet:20"\nweights = "none"\nlabel_space = "x"\n'
        'layers = ["layer1", "layer9"]\nbottleneck = "layer9"\n'
    )
    done = here("catalog", "check", "mine,pixels")
    assert done.returncode == 1
    assert "'layer9'; nearest: layer" in " ".join(done.stdout.replace("│", " ").split())  # however wide
    assert done.stderr.splitlines()[-1] == "u1: 1 at fault: mine"
