"""Networks: architecture, weights, preprocessing and the cut through the graph."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from u1core.catalog.catalog import load_catalog
from u1core.catalog.entries import Preprocessing
from u1core.common.errors import U1Error
from u1core.networks.build import build_network
from u1core.networks.preprocess import preprocessor
from u1core.networks.sources.cifar_resnet import CifarResNet
from u1core.networks.sources.torchvision_models import weights_enum
from u1core.networks.taps import Taps
from u1core.networks.weights import weights_status

CATALOG = load_catalog()
RESNET20 = CATALOG.models["cifar10_resnet20"]


@pytest.fixture(scope="module")
def random_resnet():
    return build_network(RESNET20, trained=False)


# --- architecture ---


@pytest.mark.parametrize(("depth", "parameters"), [(20, 0.27e6), (32, 0.46e6), (44, 0.66e6), (56, 0.85e6)])
def test_parameter_counts_of_the_paper(depth, parameters):
    # He et al. (2016), table 6: 0.27M, 0.46M, 0.66M, 0.85M
    count = sum(p.numel() for p in CifarResNet(depth).parameters())
    assert count == pytest.approx(parameters, abs=0.006e6)


def test_parameter_names_and_depth():
    network = CifarResNet(20)
    assert sum(isinstance(m, nn.Conv2d | nn.Linear) for m in network.modules()) == 20
    names = set(network.state_dict())
    assert {
        "conv1.weight",
        "bn1.running_mean",
        "layer2.0.conv1.weight",
        "layer3.2.bn2.bias",
        "linear.bias",
    } <= names
    assert not any("shortcut" in name or "downsample" in name for name in names)


def test_shortcut_pads_with_zeros_on_both_sides(random_resnet):
    block = random_resnet.layer2[0]
    with torch.inference_mode():
        saved = block.bn2.weight.clone()
        block.bn2.weight.zero_()  # the residual vanishes: only the shortcut is left
        x = torch.rand(1, 16, 8, 8)
        y = block(x)
        block.bn2.weight.copy_(saved)
    assert torch.equal(y[:, 8:24], x[:, :, ::2, ::2])
    assert not y[:, :8].any() and not y[:, 24:].any()


@pytest.mark.parametrize("depth", [2, 19, 21])
def test_no_such_depth(depth):
    with pytest.raises(U1Error, match=r"6n\+2"):
        CifarResNet(depth)


# --- random weights ---


def test_random_weights_are_seeded_and_leave_the_global_state():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, again = (build_network(RESNET20, trained=False, seed=1) for _ in range(2))
    other = build_network(RESNET20, trained=False, seed=2)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first.conv1.weight, again.conv1.weight)
    assert not torch.equal(first.conv1.weight, other.conv1.weight)
    assert not first.training


def test_unknown_architectures():
    for architecture in ("timm:tf_efficientnet_lite9", "torchvision:resnet51"):
        with pytest.raises(U1Error, match=r"nearest: .*(tf_efficientnet_lite|resnet50)"):
            build_network(replace(RESNET20, architecture=architecture), trained=False)
    with pytest.raises(U1Error, match="IMAGENET1K_V2, IMAGENET1K_V1"):
        weights_enum("torchvision:resnet50@V9")
    with pytest.raises(U1Error, match="nearest: resnet"):
        weights_enum("torchvision:resnet51@IMAGENET1K_V1")


# --- weights ---


def with_file(folder, network, **changes):
    import hashlib

    path = folder / "w.safetensors"
    save_file(network.state_dict(), path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return replace(RESNET20, **{"weights": "file:w.safetensors", "sha256": sha256, **changes})


def test_weights_are_found_by_directory_and_by_environment(tmp_path, monkeypatch, random_resnet):
    entry = with_file(tmp_path, random_resnet)
    monkeypatch.delenv("U1_MODELS", raising=False)
    assert weights_status(entry, tmp_path) is None
    assert torch.equal(
        build_network(entry, models_dir=tmp_path, seed=3).conv1.weight, random_resnet.conv1.weight
    )
    assert "U1_MODELS is not set" in weights_status(entry)
    monkeypatch.setenv("U1_MODELS", str(tmp_path))
    assert weights_status(entry) is None
    assert build_network(
        replace(entry, weights=f"file:{tmp_path / 'w.safetensors'}", sha256=entry.sha256[:8])
    )


def test_wrong_weights_are_told_in_one_line(tmp_path, random_resnet):
    entry = with_file(tmp_path, random_resnet)
    wrong = [
        (replace(entry, sha256="0" * 64), r"with sha256 0000"),
        (replace(entry, architecture="cifar_resnet:32"), r"cifar_resnet:32; got Missing key"),
        (
            replace(entry, weights="file:none.safetensors"),
            r"none\.safetensors of cifar10_resnet20; got not in",
        ),
        (replace(entry, weights="package:no-such-distribution"), r"no-such-distribution.*not installed"),
    ]
    for bad, message in wrong:
        with pytest.raises(U1Error, match=message) as caught:
            build_network(bad, models_dir=tmp_path)
        assert "\n" not in str(caught.value)
    assert "with sha256" in weights_status(wrong[0][0], tmp_path)
    assert "not in" in weights_status(wrong[2][0], tmp_path)
    (tmp_path / "w.safetensors").write_bytes(b"not tensors")
    with pytest.raises(U1Error, match="a file of tensors and nothing else"):
        import hashlib

        build_network(replace(entry, sha256=hashlib.sha256(b"not tensors").hexdigest()), models_dir=tmp_path)


def test_a_failing_download_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))

    def refuse(url, path, hash_prefix, progress):
        assert (hash_prefix, progress) == ("11ad3fa6", False)
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    entry = CATALOG.models["resnet50"]
    assert weights_status(entry) is None  # could be downloaded, as far as anyone knows
    with pytest.raises(U1Error, match=r"resnet50-11ad3fa6\.pth; got its download failed: no route"):
        build_network(entry)
    (tmp_path / "checkpoints" / "resnet50-11ad3fa6.pth").write_bytes(b"half a download")
    assert "with sha256" in weights_status(entry)


def test_lite_weights_come_from_their_package():
    entry = CATALOG.models["efficientnet_lite0"]
    assert weights_status(entry) is None
    trained, random = build_network(entry), build_network(entry, trained=False)
    assert not torch.equal(trained.conv_stem.weight, random.conv_stem.weight)


# --- preprocessing ---


def test_cifar_pictures_are_only_normalised():
    pictures = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    x = preprocessor(RESNET20)(pictures)
    by_hand = (pictures[1, 3, 5].double() / 255 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor(
        [0.229, 0.224, 0.225]
    )
    assert x.dtype == torch.float32 and x.shape == (2, 3, 32, 32)
    torch.testing.assert_close(x[1, :, 3, 5].double(), by_hand, atol=1e-6, rtol=0)


def test_shorter_side_is_resized_and_the_centre_cropped():
    numbers = Preprocessing(4, 1.0, "bilinear", (0.0,) * 3, (1.0,) * 3)
    wide = torch.zeros(1, 4, 12, 1, dtype=torch.uint8)
    wide[:, :, 4:8] = 255
    x = preprocessor(replace(RESNET20, preprocessing=numbers))(wide)
    assert torch.equal(x, torch.ones(1, 3, 4, 4))
    x = preprocessor(replace(RESNET20, preprocessing=replace(numbers, crop_pct=0.5)))(
        torch.full_like(wide, 51)
    )
    torch.testing.assert_close(x, torch.full((1, 3, 4, 4), 0.2))


@pytest.mark.parametrize("model", CATALOG.models)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_preprocessing_takes_grey_and_colour(model, channels):
    grey = torch.full((2, 40, 36, 1), 200, dtype=torch.uint8).expand(-1, -1, -1, channels)
    x = preprocessor(CATALOG.models[model])(grey)
    assert x.shape[:2] == (2, 3) and x.shape[2] == x.shape[3] and x.dtype == torch.float32
    assert (x.amax((0, 2, 3)) - x.amin((0, 2, 3))).abs().max() < 1e-5  # flat stays flat


# --- layers: the contract of every entry ---


def cut_points(network, layers):
    """Tell which layers the whole signal passes through: without them the output is out of reach."""
    from timm.layers import get_notrace_functions, get_notrace_modules
    from torchvision.models import feature_extraction

    kwargs = {"leaf_modules": get_notrace_modules(), "autowrap_functions": get_notrace_functions()}
    tracer = feature_extraction.NodePathTracer(**feature_extraction._set_default_tracer_kwargs(kwargs))
    nodes = list(tracer.trace(network).nodes)
    names = {node: tracer.node_to_qualname.get(node, "") for node in nodes}

    def passes(layer):
        last = [n for n in nodes if names[n] == layer or names[n].startswith(f"{layer}.")][-1]
        seen, stack = {nodes[0]}, [nodes[0]]
        while stack:
            for user in stack.pop().users:
                if user is not last and user not in seen:
                    seen.add(user)
                    stack.append(user)
        return nodes[-1] not in seen

    return [layer for layer in layers if passes(layer)]


NETWORKS = [name for name, entry in CATALOG.models.items() if not entry.is_baseline]


@pytest.mark.parametrize("model", NETWORKS)
def test_contract_of_every_entry(model):
    entry = CATALOG.models[model]
    network = build_network(entry, trained=False)
    assert cut_points(network, entry.layers) == list(entry.layers)
    extractor = Taps(network, entry.layers, entry.head or "")
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (1, 32, 32, 1), dtype=torch.uint8, generator=generator)
    x = preprocessor(entry)(pictures)
    with torch.inference_mode():
        found, logits = extractor(x), network(x)
    assert list(found) == [*entry.layers, "head"]
    sizes = [tuple(found[layer].shape[2:]) or (1, 1) for layer in entry.layers]
    assert all(h == w for h, w in sizes)
    assert [layer for layer, (h, _) in zip(entry.layers, sizes, strict=True) if h > 1][-1] == entry.bottleneck
    assert model == "vgg16" or sizes[-1] == (1, 1)  # VGG's classifier reads 7 x 7
    assert sizes == sorted(set(sizes), reverse=True)  # strictly decreasing
    assert all(found[name].isfinite().all() for name in found)
    torch.testing.assert_close(found["head"], logits)
    assert logits.shape == (1, 1000 if entry.label_space == "imagenet1k" else 10)
    if "mobilenet" not in model and "convnext" not in model:
        assert all(found[layer].min() >= 0 for layer in entry.layers)
    assert not network.training


# --- real weights ---


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("U1_MODELS"), reason="U1_MODELS is not set")
@pytest.mark.parametrize(("depth", "accuracy"), [(20, 0.9173), (32, 0.9263)])
def test_accuracy_on_the_cifar10_test_images(depth, accuracy):
    from u1core.images.cache import default_cache, open_images

    images = open_images(CATALOG.datasets["cifar10"], default_cache())
    entry = CATALOG.models[f"cifar10_resnet{depth}"]
    network, prepare = build_network(entry), preprocessor(entry)
    query = np.flatnonzero(images.is_query)
    correct = 0
    with torch.inference_mode():
        for start in range(0, len(query), 250):
            batch = query[start : start + 250]
            predicted = network(prepare(torch.from_numpy(images.pixels[batch]))).argmax(1).numpy()
            correct += int((predicted == images.labels[batch]).sum())
    assert correct / len(query) == accuracy


def test_two_threads_that_build_at_once_do_not_draw_from_each_other():
    alone = build_network(RESNET20, trained=False).state_dict()
    with ThreadPoolExecutor(4) as pool:
        built = list(pool.map(lambda _: build_network(RESNET20, trained=False).state_dict(), range(8)))
    assert all(torch.equal(state[name], alone[name]) for state in built for name in alone)
