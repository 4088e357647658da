"""Sources of networks: random weights, plugins, the user's own code; what is said when they are wrong."""

import math
import re
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from test_references import four_lines
from timm.data import create_transform
from torch import nn
from torchvision import models

from u1core.catalog.catalog import load_catalog
from u1core.catalog.entries import Preprocessing
from u1core.catalog.schemes import MODEL_GROUP, schemes, sources
from u1core.cells.cell import Cell
from u1core.cells.cost import shape_of
from u1core.common.errors import U1Error
from u1core.networks.build import build_network, build_shapes
from u1core.networks.identity import identity_of
from u1core.networks.preprocess import preprocessor
from u1core.networks.references import model_reference, select_models
from u1core.networks.resolve import resolve, select_networks
from u1core.networks.sources import registry
from u1core.networks.sources.source import UnsuitableError
from u1core.networks.sources.user_code import ALLOW
from u1core.networks.weights import pin

CATALOG = load_catalog()
EXAMPLE = Path(__file__).parents[3] / "examples" / "plugin" / "u1_tiny_networks.py"


# --- networks without weights ---


def test_random_weights_when_asked_for():
    entry = resolve(*model_reference("torchvision:regnet_y_400mf", "none"))
    assert not entry.has_weights and not entry.is_baseline
    assert (entry.label_space, entry.sha256, pin(entry)) == ("none", "", entry)
    assert entry.bottleneck == "trunk_output.block4"
    network, again = build_network(entry), build_network(entry, trained=False)
    assert all(
        torch.equal(a, b)
        for a, b in zip(network.state_dict().values(), again.state_dict().values(), strict=True)
    )
    assert not torch.equal(next(network.parameters()), next(build_network(entry, seed=1).parameters()))


def test_a_cell_without_trained_weights_says_so(catalog):
    entry = resolve(*model_reference("torchvision:regnet_y_400mf", "none"))
    imagenet = replace(catalog.datasets["digits"], label_space="imagenet1k")
    cell = Cell(replace(entry, label_space="imagenet1k"), imagenet, "0")
    assert not cell.is_trained and not cell.head_matches
    resnet = Cell(catalog.models["resnet50"], imagenet, "0")
    assert resnet.is_trained and resnet.head_matches
    assert not replace(resnet, variant="random-init").is_trained
    assert not Cell(catalog.models["pixels"], imagenet, "0").is_trained


def test_weights_are_never_left_out_by_accident(tmp_path):
    path = tmp_path / "catalog.toml"
    path.write_text('[models.mine]\narchitecture = "timm:resnet18"\nlabel_space = "x"\n')
    with pytest.raises(U1Error, match=r"models.mine.weights: missing; .* or none"):
        load_catalog(path)


@pytest.mark.parametrize(
    "architecture", ["timm:resnet10t", "torchvision:regnet_y_400mf", "cifar_resnet:20", "pixels:luminance"]
)
def test_shapes_need_no_numbers(architecture):
    entry = replace(CATALOG.models["pixels"], architecture=architecture)
    before = torch.random.get_rng_state()
    network = build_shapes(entry)
    assert all(p.is_meta for p in network.parameters()) and not network.training
    assert torch.equal(torch.random.get_rng_state(), before)


# --- weights of torchvision ---


def test_densenet_files_have_names_with_dots():
    torch.manual_seed(0)
    network = registry.build("torchvision:densenet121").eval()
    old = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", name): tensor
        for name, tensor in network.state_dict().items()
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    loaded = registry.load("torchvision:densenet121", "IMAGENET1K_V1", old)
    state = loaded.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_inception_networks_transform_their_input_as_with_torchvisions_weights(name):
    network = build_shapes(replace(CATALOG.models["inception_v3"], architecture=f"torchvision:{name}"))
    assert network.transform_input


def test_state_dicts_keep_their_version(tmp_path):
    # MNASNet refuses a state dict that does not say of which version it is.
    entry = resolve(*model_reference("torchvision:mnasnet0_5", f"file:{tmp_path / 'mine.pth'}"))
    network = registry.build(entry.architecture)
    torch.save(network.state_dict(), tmp_path / "mine.pth")
    assert torch.equal(next(build_network(pin(entry)).parameters()), next(network.parameters()))


# --- preprocessing ---


def test_default_numbers_of_torchvision_give_its_own_sizes_back():
    from torchvision import models

    for name in registry.names("torchvision"):
        numbers, transform = (
            registry.default_preprocessing(f"torchvision:{name}"),
            models.get_model_weights(name).DEFAULT.transforms(),
        )
        assert [numbers.size] == transform.crop_size
        assert [int(numbers.size / numbers.crop_pct)] == transform.resize_size


@pytest.mark.parametrize("name", ["resnet18.a1_in1k", "convnext_nano.d1h_in1k", "efficientnet_b3.ra2_in1k"])
@pytest.mark.parametrize("height", [300, 200, 640])
def test_pictures_are_prepared_as_timm_prepares_them(name, height):
    from PIL import Image

    entry = resolve(*model_reference(f"timm:{name}"))
    config = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    picture = torch.zeros(height, 400, 3, dtype=torch.uint8)
    picture[height // 4 : height // 2, 100:180] = torch.tensor([200, 40, 90], dtype=torch.uint8)
    theirs = create_transform(**config, is_training=False)(Image.fromarray(picture.numpy()))
    ours = preprocessor(entry)(picture[None])[0]
    assert ours.shape == theirs.shape == (3, *config["input_size"][1:])
    # Pillow and torch resample uint8 with other roundings: one grey level in 255.
    assert (ours - theirs).abs().max() < 2.5 / 255 / min(config["std"])


def test_squash_keeps_the_whole_picture_and_stands_in_the_identity():
    config = timm.get_pretrained_cfg("eva_large_patch14_336.in22k_ft_in1k")
    assert config.crop_mode == "squash"  # a tag that has it
    numbers = Preprocessing(4, 1.0, "bilinear", (0.0,) * 3, (1.0,) * 3, "squash")
    entry = replace(CATALOG.models["cifar10_resnet20"], preprocessing=numbers)
    wide = torch.zeros(1, 4, 12, 1, dtype=torch.uint8)
    wide[:, :, 8:] = 255
    squashed = preprocessor(entry)(wide)
    assert squashed.shape == (1, 3, 4, 4) and squashed[..., 0].max() == 0 and squashed[..., -1].min() == 1
    cropped = preprocessor(replace(entry, preprocessing=replace(numbers, crop_mode="center")))(wide)
    assert cropped.max() == 0
    assert '"crop_mode": "squash"' in identity_of(entry)["preprocessing"]
    assert "crop_mode" not in identity_of(CATALOG.models["cifar10_resnet20"])["preprocessing"]


@pytest.mark.parametrize("name", ["vit_base_patch16_sapiens2.fb", "resnetv2_50x1_bit.goog_in21k"])
def test_other_pictures_are_refused_in_one_line(name, monkeypatch):
    border = timm.get_pretrained_cfg("resnet18")
    border.crop_mode = "border"
    if name.startswith("resnet"):
        monkeypatch.setattr("u1core.networks.sources.timm_models.get_pretrained_cfg", lambda name: border)
        name = "resnet18.a1_in1k"
    with pytest.raises(
        UnsuitableError, match="expected square colour pictures, cropped or squashed"
    ) as caught:
        registry.published(f"timm:{name}")
    assert "\n" not in str(caught.value)


# --- user code ---


@pytest.fixture
def user_module(tmp_path, monkeypatch):
    """A module that leaves a trace when it is imported."""
    (tmp_path / "u1_mynets.py").write_text(
        "from pathlib import Path\n"
        "from u1core.networks.sources.cifar_resnet import CifarResNet\n"
        "Path(__file__).with_name('imported').touch()\n"
        "def small():\n    return CifarResNet(8)\n"
        "def nothing():\n    return 3\n"
        "def broken():\n    raise ValueError('first line\\nsecond line')\n"
    )
    (tmp_path / "catalog.toml").write_text(
        four_lines("mine", "code:u1_mynets:small", "none") + "preprocessing = { size = 32, crop_pct = 1, "
        'interpolation = "bilinear", mean = [0, 0, 0], std = [1, 1, 1] }\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv(ALLOW, raising=False)
    yield tmp_path
    sys.modules.pop("u1_mynets", None)


def test_user_code_is_off_and_never_imported_while_it_is(user_module):
    catalog = load_catalog(user_module / "catalog.toml")
    with pytest.raises(U1Error, match="expected U1_ALLOW_CODE=1 in the environment") as caught:
        select_networks(catalog, "mine")
    assert "\n" not in str(caught.value)
    chosen = select_networks(catalog, "mine,cifar10_resnet20")  # the others go on
    assert list(chosen.failed) == ["mine"] and [m.id for m in chosen.models] == ["cifar10_resnet20"]
    for refused in (build_network, build_shapes, shape_of):
        with pytest.raises(U1Error, match="U1_ALLOW_CODE"):
            refused(catalog.models["mine"])
    with pytest.raises(U1Error, match="U1_ALLOW_CODE"):
        model_reference("code:u1_mynets:small", "none")
    assert not (user_module / "imported").exists()


def test_user_code_runs_when_it_is_allowed(user_module, monkeypatch):
    monkeypatch.setenv(ALLOW, "1")
    entry = resolve(load_catalog(user_module / "catalog.toml").models["mine"])
    assert (entry.layers, entry.bottleneck) == (("layer1", "layer2", "layer3", "mean"), "layer3")
    assert build_network(entry)(torch.zeros(1, 3, 32, 32)).shape == (1, 10)
    assert (user_module / "imported").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("u1_mynets:nothing", r"u1_mynets:nothing\(\) returns int, no torch.nn.Module"),
        ("u1_mynets:broken", r"got ValueError: first line; correct that, or leave it out"),
        ("u1_mynets:missing", r"AttributeError: module 'u1_mynets' has no attribute 'missing'"),
        ("u1_nowhere:small", r"ModuleNotFoundError: No module named 'u1_nowhere'"),
    ],
)
def test_faults_of_user_code_are_one_line(user_module, monkeypatch, name, message):
    monkeypatch.setenv(ALLOW, "1")
    with pytest.raises(U1Error, match=message) as caught:
        registry.build(f"code:{name}")
    assert str(caught.value).startswith(f"expected code:{name} from its source; got ")
    assert "\n" not in str(caught.value)


# --- plugins ---


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package with one module and one entry point, as pip would: into a folder of sys.path."""

    def installed(name, scheme, value, module):
        info = tmp_path / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{MODEL_GROUP}]\n{scheme} = {value}\n")
        if isinstance(module, Path):
            shutil.copy(module, tmp_path)
        else:
            (tmp_path / f"{value.partition(':')[0]}.py").write_text(module)
        return tmp_path

    monkeypatch.syspath_prepend(tmp_path)
    sources.cache_clear()
    before = set(sys.modules)
    yield installed
    for name in {
        name for name in sys.modules if name.startswith("u1_") or name == "u1_tiny_networks"
    } - before:
        del sys.modules[name]
    sources.cache_clear()
    registry._source.cache_clear()


def test_the_example_of_a_plugin(install, tmp_path):
    folder = install("u1-example", "tiny", "u1_tiny_networks:TinyNetworks", EXAMPLE)
    assert schemes()[-1] == "tiny"
    assert [e.id for e in model_reference("tiny:*", "none")] == ["tiny.narrow.random", "tiny.wide.random"]
    wide = registry.build("tiny:wide")
    save_file(wide.state_dict(), folder / "wide_v1.safetensors")
    entry = pin(resolve(*select_models(CATALOG, "tiny:*")))
    assert (entry.id, entry.weights, len(entry.sha256)) == ("tiny.wide.v1", "tiny:wide@v1", 64)
    assert (entry.label_space, entry.preprocessing.size) == ("cifar10", 32)
    assert entry.bottleneck == entry.layers[-2]
    x = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(build_network(entry)(x), wide.eval()(x))
    (tmp_path / "catalog.toml").write_text(four_lines("mine", "tiny:narrow", "none"))
    assert resolve(load_catalog(tmp_path / "catalog.toml").models["mine"]).bottleneck


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("import u1_nowhere", "ModuleNotFoundError: No module named 'u1_nowhere'"),
        ("x = 1", "AttributeError: module 'u1_acme' has no attribute 'Source'"),
        ("class Source: pass", "TypeError: u1_acme:Source makes no u1core.networks.sources.ModelSource"),
        ("def Source():\n    return 1 / 0", "ZeroDivisionError: division by zero"),
        (
            "from u1core.networks.sources.source import ModelSource\n"
            "class Source(ModelSource):\n"
            "    def names(self): return [][1]\n"
            "    def build(self, name, tag='', classes=None): return None\n",
            "IndexError: list index out of range",
        ),
    ],
)
def test_a_broken_plugin_is_one_line_and_only_where_it_is_used(install, tmp_path, module, message):
    install("u1-acme", "acme", "u1_acme:Source", module)
    (tmp_path / "catalog.toml").write_text(four_lines("mine", "acme:net", "none"))
    catalog = load_catalog(tmp_path / "catalog.toml")  # its scheme is known, its code not run
    assert "u1_acme" not in sys.modules
    chosen = select_networks(catalog, "mine,cifar10_resnet20")
    assert [m.id for m in chosen.models] == ["cifar10_resnet20"]
    assert chosen.failed["mine"] == (
        f"expected acme:net from the plugin u1-acme; got {message}; correct that, or leave it out"
    )


def test_a_plugin_replaces_no_built_in_source(install):
    install("u1-evil", "timm", "u1_evil:Source", "raise SystemExit")
    assert registry.names("timm") == timm.list_models()
    assert schemes().count("timm") == 1


def test_a_network_of_a_plugin_with_published_preprocessing(install):
    install(
        "u1-acme",
        "acme",
        "u1_acme:Source",
        "from pathlib import Path\n"
        "from torch import nn\n"
        "from u1core.networks.sources import LocalFile, ModelSource, Preprocessing, Weights\n"
        "class Source(ModelSource):\n"
        "    separator = '/'\n"
        "    def names(self): return ['net']\n"
        "    def build(self, name, tag='', classes=None): return nn.Conv2d(3, 4, 3)\n"
        "    def tags(self, name): return ['a', 'b']\n"
        "    def weights(self, name, tag):\n"
        "        numbers = Preprocessing(16, 1.0, 'bilinear', (0, 0, 0), (1, 1, 1))\n"
        "        return Weights(LocalFile(Path('/nowhere') / tag), 'mine', numbers, 'abcdef01')\n",
    )
    references = model_reference("acme:net/*")
    assert [e.weights for e in references] == ["acme:net/a", "acme:net/b"]
    entry = resolve(replace(references[0], layers=("",), bottleneck=""))
    assert (entry.preprocessing.size, entry.label_space, entry.sha256) == (16, "mine", "abcdef01")
    with pytest.raises(U1Error, match="expected the weights file a; got none in /nowhere"):
        pin(entry)
    assert isinstance(build_network(entry, trained=False), nn.Conv2d)


# --- many entries ---


def test_a_thousand_entries_load_at_once(tmp_path):
    path = tmp_path / "catalog.toml"
    entries = [four_lines(f"m{i}", "timm:resnet18", f"file:m{i}.safetensors") for i in range(1000)]
    path.write_text("".join(entries))
    start = time.perf_counter()
    catalog = load_catalog(path)
    assert time.perf_counter() - start < 1
    assert len(select_models(catalog, "m*")) == 1000 + sum(name.startswith("m") for name in CATALOG.models)
    path.write_text("".join(entries).replace("timm", "tim"))
    with pytest.raises(
        U1Error, match=r"got 1000: models.m0.architecture: .* \| \.\.\.; correct them"
    ) as caught:
        load_catalog(path)
    assert len(str(caught.value)) < 10_000 and math.isclose(str(caught.value).count(" | "), 20)


@pytest.mark.parametrize(("scheme", "library"), [("timm", timm), ("torchvision", models)])
def test_every_architecture_is_found_in_the_text_of_its_library(scheme, library):
    """Else naming it would import the library, which takes seconds."""
    names = set(library.list_models(module=models) if library is models else library.list_models())
    assert names <= registry._functions(f"{scheme}.models")


def test_the_version_of_an_architecture_that_does_not_exist_names_the_nearest():
    with pytest.raises(U1Error, match="nearest: resnet18"):
        registry.version("timm:resnet81")


def test_entries_that_differ_in_their_weights_share_one_trace(catalog):
    entry = catalog.models["cifar10_resnet20"]
    assert shape_of(replace(entry, id="other", weights="none", sha256="")) is shape_of(entry)
