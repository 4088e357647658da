"""Weights files: found, fetched, proven, read without running anything, loaded."""

import hashlib
import http.server
import os
import pickle
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from u1core.catalog.catalog import load_catalog
from u1core.common.errors import U1Error
from u1core.networks.build import build_network
from u1core.networks.identity import identity_of
from u1core.networks.references import model_reference
from u1core.networks.resolve import resolve
from u1core.networks.sources.cifar_resnet import CifarResNet
from u1core.networks.weights import fetch_weights, find_weights, pin, pin_if_here, read_state, weights_status

RESNET20 = load_catalog().models["cifar10_resnet20"]
STATE = {"weight": torch.arange(6.0).reshape(2, 3)}
HUB_MODEL = "timm:resnet10t.c3_in1k"


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def resnet10t():
    torch.manual_seed(3)
    return timm.create_model("resnet10t", pretrained=False).eval()


@pytest.fixture(scope="module")
def pictures():
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def same_answers(network, other, pictures):
    with torch.inference_mode():
        return torch.equal(network(pictures), other(pictures))


# --- reading ---


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state, "optimizer": {"lr": 0.1}},
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
    ],
)
def test_state_dicts_alone_nested_and_of_parallel_training(tmp_path, suffix, wrap):
    path = tmp_path / f"w{suffix}"
    torch.save(wrap(dict(STATE)), path)
    state = read_state(path)
    assert list(state) == ["weight"] and torch.equal(state["weight"], STATE["weight"])


class Bomb:
    """A pickle of this creates a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch '{self.path}'",)


def test_the_bomb_works(tmp_path):
    pickle.loads(pickle.dumps(Bomb(tmp_path / "boom")))
    assert (tmp_path / "boom").exists()


def plain_pickle(content, path):
    path.write_bytes(pickle.dumps(content, protocol=2))


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".safetensors"])
@pytest.mark.parametrize("write", [torch.save, plain_pickle])
@pytest.mark.parametrize("nested", [False, True])
def test_a_malicious_pickle_is_refused_and_runs_nothing(tmp_path, suffix, write, nested):
    path, boom = tmp_path / f"w{suffix}", tmp_path / "boom"
    write({"weight": STATE["weight"], "x": Bomb(boom)} if nested else Bomb(boom), path)
    entry = replace(RESNET20, weights=f"file:{path}", sha256="")
    with pytest.raises(U1Error, match=r"a file of tensors and nothing else in w\.") as caught:
        build_network(pin(entry))
    assert len(str(caught.value).splitlines()) == 1 and len(str(caught.value)) < 300
    reason = "SafetensorError" if suffix == ".safetensors" else "a pickle that would run"
    assert reason in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name]


def scripted(path):
    with pytest.warns(FutureWarning, match="deprecated"):
        torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"not tensors"),
        lambda path: path.write_bytes(pickle.dumps({"weight": [1.0, 2.0]}, protocol=5)),
        lambda path: torch.save(CifarResNet(8), path),
        lambda path: torch.save([STATE["weight"]], path),
        lambda path: torch.save({}, path),
        lambda path: torch.save({"epoch": 3, "net": STATE}, path),
        scripted,
    ],
    ids=[
        "empty",
        "text",
        "a pickle",
        "a whole module",
        "a list",
        "no tensors",
        "another nesting",
        "TorchScript",
    ],
)
def test_anything_else_is_refused_in_one_short_line(tmp_path, write):
    path = tmp_path / "w.pth"
    write(path)
    with pytest.raises(U1Error, match=r"a file of tensors and nothing else in w\.pth") as caught:
        read_state(path)
    assert len(str(caught.value).splitlines()) == 1 and len(str(caught.value)) < 300
    assert "weights_only" not in str(caught.value)


# --- finding ---


def test_a_file_is_looked_for_inside_its_folder_only(tmp_path, monkeypatch):
    models, outside = tmp_path / "models", tmp_path / "secret.safetensors"
    (models / "inner").mkdir(parents=True)
    save_file(CifarResNet(20).state_dict(), outside)
    (models / "inner" / "mine.safetensors").symlink_to(outside)
    (models / "good.safetensors").write_bytes(outside.read_bytes())
    (models / "alias.safetensors").symlink_to(models / "good.safetensors")
    (models / "up").symlink_to(tmp_path)
    monkeypatch.setenv("U1_MODELS", str(models))
    entry = replace(RESNET20, sha256="")
    for name in ("good.safetensors", "alias.safetensors", "inner/../good.safetensors", str(outside)):
        allowed = ".." not in name
        named = replace(entry, weights=f"file:{name}")
        assert (weights_status(named) is None) == allowed, name
    for name in ("inner/mine.safetensors", "../secret.safetensors", "up/secret.safetensors"):
        with pytest.raises(U1Error, match="leads out of it; give its absolute path"):
            fetch_weights(replace(entry, weights=f"file:{name}"))
    # A models folder that is a link itself is a folder like any other.
    (tmp_path / "link").symlink_to(models)
    assert find_weights(replace(entry, weights="file:good.safetensors"), tmp_path / "link")


def test_pinning_gives_the_sha256_of_the_file_and_keeps_a_promise(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file(CifarResNet(20).state_dict(), path)
    entry = replace(RESNET20, weights="file:w.safetensors", sha256="")
    assert pin(entry, tmp_path) == pin_if_here(entry, tmp_path) == replace(entry, sha256=sha256(path))
    promised = replace(entry, sha256=sha256(path)[:10])
    assert pin(promised, tmp_path) is promised
    with pytest.raises(U1Error, match="with sha256 00000000"):
        pin(replace(entry, sha256="00000000"), tmp_path)
    assert pin_if_here(replace(entry, weights="file:none.safetensors"), tmp_path).sha256 == ""
    untrained = replace(entry, weights="none")
    assert pin(untrained) is untrained and weights_status(untrained) is None
    # The same name with other bytes is another model.
    before = pin(entry, tmp_path)
    save_file(CifarResNet(20).state_dict(), path)
    assert identity_of(pin(entry, tmp_path)) != identity_of(before)
    assert pin(entry, tmp_path).sha256 == sha256(path)


# --- loading ---


def test_a_timm_network_from_a_file_of_ones_own(tmp_path, resnet10t, pictures):
    save_file(resnet10t.state_dict(), tmp_path / "mine.safetensors")
    (reference,) = model_reference("timm:resnet10t", "file:mine.safetensors")
    entry = pin(resolve(reference), tmp_path)
    assert entry.sha256 == sha256(tmp_path / "mine.safetensors")
    assert entry.preprocessing.size == 176 and entry.layers[-2] == entry.bottleneck == "layer4"
    assert same_answers(build_network(entry, models_dir=tmp_path), resnet10t, pictures)
    assert not same_answers(build_network(entry, trained=False), resnet10t, pictures)


@pytest.mark.parametrize("architecture", ["timm:resnet10t", "torchvision:squeezenet1_1", "cifar_resnet:20"])
def test_weights_with_classes_of_their_own(tmp_path, architecture):
    from u1core.networks.sources import registry

    network = registry.build(architecture, classes=7).eval()
    torch.save(network.state_dict(), tmp_path / "mine.pth")
    (reference,) = model_reference(architecture, "file:mine.pth")
    loaded = build_network(pin(resolve(reference), tmp_path), models_dir=tmp_path)
    x = torch.rand(1, 3, 64, 64)
    assert same_answers(loaded, network, x)
    with torch.inference_mode():
        assert loaded(x).shape == (1, 7)


def test_weights_of_another_network_are_told_by_the_first_difference(tmp_path, resnet10t):
    save_file(resnet10t.state_dict(), tmp_path / "mine.safetensors")
    for architecture, first in {
        "timm:resnet18": 'got Missing key(s) in state_dict: "conv1.weight"',
        "torchvision:resnet18": "got Missing key(s)",
        "timm:resnet14t": "got Missing key(s)",
        "cifar_resnet:20": "got Missing key(s)",
    }.items():
        (reference,) = model_reference(architecture, "file:mine.safetensors")
        with pytest.raises(U1Error) as caught:
            build_network(pin(reference, tmp_path), models_dir=tmp_path)
        message = str(caught.value)
        assert message.startswith(f"expected weights of the architecture {architecture}; {first}")
        assert "\n" not in message and len(message) < 500


# --- the model hub ---


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.bool, torch.complex64])
def test_weights_that_are_no_floating_point_numbers_are_refused(tmp_path, dtype):
    state = CifarResNet(8).state_dict()
    state["layer1.0.conv1.weight"] = state["layer1.0.conv1.weight"].to(dtype)
    torch.save(state, tmp_path / "quantised.pt")
    (reference,) = model_reference("cifar_resnet:8", "file:quantised.pt")
    with pytest.raises(
        U1Error, match=f"got layer1.0.conv1.weight as {str(dtype).removeprefix('torch.')}; save"
    ):
        build_network(pin(reference, tmp_path), models_dir=tmp_path)


@pytest.fixture
def hub_cache(tmp_path, resnet10t):
    """A cache of the hub as the hub lays it out: a blob by its sha256, a snapshot that links to it."""
    folder = tmp_path / "hub" / "models--timm--resnet10t.c3_in1k"
    (folder / "blobs").mkdir(parents=True)
    save_file(resnet10t.state_dict(), folder / "blobs" / "new")
    digest = sha256(folder / "blobs" / "new")
    (folder / "blobs" / "new").rename(folder / "blobs" / digest)
    commit = "0123456789abcdef0123456789abcdef01234567"
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)
    (folder / "snapshots" / commit).mkdir(parents=True)
    (folder / "snapshots" / commit / "model.safetensors").symlink_to(f"../../blobs/{digest}")
    return tmp_path / "hub", digest


def checksum(network):
    return float(network.conv1[0].weight.detach().double().sum())


LOAD = f"""
import sys, torch
from u1core.catalog.catalog import load_catalog
from u1core.common.errors import U1Error
from u1core.networks.build import build_network
from u1core.networks.resolve import resolve
from u1core.networks.weights import pin, weights_status
from u1core.networks.references import select_models
(entry,) = select_models(load_catalog(), {HUB_MODEL!r})
print(weights_status(resolve(entry)))
try:
    entry = pin(resolve(entry))
except U1Error as error:
    print(error)
    sys.exit(1)
print(entry.sha256)
print(float(build_network(entry).conv1[0].weight.detach().double().sum()))
"""


def load_in_a_process(**variables):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return subprocess.run(
        [sys.executable, "-c", LOAD],
        env=kept | {"PYTHONPATH": str(Path(__file__).parents[3])} | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def offline(monkeypatch):
    """Say how the hub's own library is set, as HF_HUB_CACHE and HF_HUB_OFFLINE would at its import."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return lambda cache: monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))


def test_timm_weights_come_from_the_cache_of_the_hub(hub_cache, offline, resnet10t, pictures):
    cache, digest = hub_cache
    offline(cache)
    (reference,) = model_reference(HUB_MODEL)
    assert weights_status(reference) is None
    entry = pin(resolve(reference))
    assert (entry.sha256, entry.label_space) == (digest, "imagenet1k")
    assert same_answers(build_network(entry), resnet10t, pictures)


def test_offline_without_the_file_is_one_line(offline, tmp_path):
    offline(tmp_path)
    (entry,) = model_reference(HUB_MODEL)
    with pytest.raises(
        U1Error, match=r"weights of timm/resnet10t\.c3_in1k from the model hub; got not in"
    ) as e:
        fetch_weights(entry)
    assert weights_status(entry) == str(e.value) and "\n" not in str(e.value)
    assert pin_if_here(entry) is entry


@pytest.mark.slow
def test_a_hub_that_does_not_answer_is_one_line(tmp_path):
    done = load_in_a_process(HF_HUB_CACHE=str(tmp_path), HF_ENDPOINT="http://127.0.0.1:9")
    assert (done.returncode, done.stderr) == (1, "")
    status, error = done.stdout.splitlines()
    assert status == "None"  # could be fetched, as far as anyone knows
    assert "from the model hub; got" in error and "refused" in error


class Hub(http.server.BaseHTTPRequestHandler):
    """Answers as the hub does for one repository with one file."""

    def do_HEAD(self):
        self.answer(False)

    def do_GET(self):
        self.answer(True)

    def answer(self, with_body):
        body = self.server.files.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("X-Repo-Commit", "0123456789abcdef0123456789abcdef01234567")
        if body is None:
            self.send_header("X-Error-Code", "EntryNotFound")
        else:
            self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        if with_body and body:
            self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_timm_weights_are_fetched_from_a_hub(tmp_path, resnet10t, name):
    file = tmp_path / name
    save = save_file if name.endswith(".safetensors") else torch.save
    save(resnet10t.state_dict(), file)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as hub:
        hub.files = {f"/timm/resnet10t.c3_in1k/resolve/main/{name}": file.read_bytes()}
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{hub.server_address[1]}"
        done = load_in_a_process(HF_HUB_CACHE=str(tmp_path / "hub"), HF_ENDPOINT=endpoint)
        hub.shutdown()
    assert done.returncode == 0, done.stderr
    status, found, total = done.stdout.splitlines()
    assert (status, found) == ("None", sha256(file))
    assert float(total) == checksum(resnet10t)
