"""The catalog: what the built-in file promises, and what a wrong one is told."""

import json
import pickle
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest

from u1core.catalog.catalog import find_problems, load_catalog
from u1core.common.errors import U1Error
from u1core.networks.identity import identity_of
from u1core.networks.references import select_models

CATALOG = load_catalog()

MODEL = """
[models.mine]
architecture = "cifar_resnet:20"
weights = "file:mine.safetensors"
sha256 = "0123456789abcdef"
preprocessing = { size = 32, crop_pct = 1, interpolation = "bilinear", mean = [0.5, "1/2", "2/4"
  ], std = [1, 1, 1] }
layers = ["layer1", "layer2"]
bottleneck = "layer2"
label_space = "mine"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_built_in_ids():
    assert set(CATALOG.models) == {
        *(
            "efficientnet_lite0",
            "efficientnet_lite1",
            "efficientnet_lite2",
            "cifar10_resnet20",
            "cifar10_resnet32",
            "resnet20_onehot",
            "resnet20_onehot_u1",
            "pixels",
            "bank",
        ),
        *("resnet50", "vgg16", "densenet201", "mobilenet_v3_large", "convnext_tiny", "inception_v3"),
    }
    assert set(CATALOG.datasets) == {
        *("cifar10", "fashion_mnist", "digits", "phantom", "phantom_null", "placed", "placed_fashion")
    }


def test_entries_are_frozen():
    with pytest.raises(FrozenInstanceError):
        CATALOG.models["resnet50"].layers = ()
    with pytest.raises(FrozenInstanceError):
        CATALOG.datasets["phantom"].options = {}


def test_fractions_of_255_are_exact():
    numbers = CATALOG.models["efficientnet_lite0"].preprocessing
    assert numbers.mean == (127 / 255,) * 3
    assert numbers.std == (128 / 255,) * 3


def test_select_keeps_the_order_asked_for_and_no_doubles():
    chosen = select_models(CATALOG, "resnet50, efficientnet_lite*,efficientnet_lite1")
    assert [m.id for m in chosen] == [
        "resnet50",
        "efficientnet_lite0",
        "efficientnet_lite1",
        "efficientnet_lite2",
    ]
    assert [d.id for d in CATALOG.select_datasets("phantom*")] == ["phantom", "phantom_null"]


def test_select_names_the_nearest_ids():
    with pytest.raises(U1Error, match=r"'resnet51'; nearest: .*resnet50"):
        select_models(CATALOG, "resnet51")
    with pytest.raises(U1Error, match="nearest: cifar10"):
        CATALOG.select_datasets("cifar")
    with pytest.raises(U1Error, match="at least one dataset"):
        CATALOG.select_datasets(" , ")


def test_user_file_adds_and_replaces(tmp_path):
    catalog = load_catalog(write(tmp_path, MODEL + MODEL.replace("models.mine", "models.resnet50")))
    assert catalog.models["mine"].layers == ("layer1", "layer2")
    assert catalog.models["mine"].preprocessing.mean == (0.5, 0.5, 0.5)
    assert catalog.models["resnet50"].architecture == "cifar_resnet:20"
    assert set(catalog.datasets) == set(CATALOG.datasets)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"cifar_resnet:20"', '"cifar_resnet:21"', r"models.mine.architecture: .*6n\+2"),
        ('"cifar_resnet:20"', '"keras:vgg"', r"models.mine.architecture: .*timm:<name>"),
        ('"file:mine.safetensors"', '"file:mine.pkl"', r"models.mine.weights: .*safetensors"),
        ('"0123456789abcdef"', '"XYZ"', r"models.mine.sha256: .*hexadecimal"),
        ("size = 32", "size = 0", r"models.mine.preprocessing: .*size \(px\)"),
        ('"bilinear"', '"lanczos"', r"models.mine.preprocessing: .*nearest, bilinear, bicubic"),
        ("[1, 1, 1]", "[1, 1, 0]", r"models.mine.preprocessing: .*3 numbers"),
        ('"1/2"', '"1/0"', r"models.mine.preprocessing: .*3 numbers"),
        (
            'bottleneck = "layer2"',
            'bottleneck = "layer9"',
            r"models.mine.bottleneck: must be .*layer1, layer2",
        ),
        ('["layer1", "layer2"]', '["layer2", "layer2"]', r"models.mine.layers: .*different"),
        ("label_space", "lable_space", r"models.mine.lable_space: no such field; nearest valid: label_space"),
        ("preprocessing", "x", r"models.mine.x: no such field"),
        ('"cifar_resnet:20"', '"code:mynets"', r"models.mine.architecture: .*code:<module>:<function>"),
        ('"cifar_resnet:20"', '"pixels:luminance"', r"models.mine.weights: must be 'none'"),
        ('"file:mine.safetensors"', '"file:../mine.pth"', r"models.mine.weights: .*no '\.\.'"),
        ('"file:mine.safetensors"', '"file:/a/../mine.pth"', r"models.mine.weights: .*no '\.\.'"),
        ('"file:mine.safetensors"', '"timm:resnet18"', r"models.mine.weights: .*timm:<name>\.<tag>"),
        ('"file:mine.safetensors"', '"ftp:mine"', r"models.mine.weights: 'ftp:mine' is not valid"),
        ('layers = ["layer1", "layer2"]', "", r"models.mine.layers: missing; leave the bottleneck out too"),
        ("crop_pct = 1", 'crop_pct = 1, crop_mode = "border"', r"models.mine.preprocessing: .*squash"),
        ("[models.mine]", '[models."a/b"]', r"models.a/b: an id is made of"),
        ("[models.mine]", "[model.mine]", r"\[model\]: valid tables are models, datasets"),
    ],
)
def test_one_wrong_model_field(tmp_path, old, new, problem):
    with pytest.raises(U1Error, match=problem):
        load_catalog(write(tmp_path, MODEL.replace(old, new, 1)))


def test_every_problem_is_named_at_once():
    raw = {
        "models": {"a": {"weights": 3}, "b": 4},
        "datasets": {
            "c": {"kind": "video", "sources": ["ftp:x"]},
            "d": {
                "kind": "phantom",
                "sources": ["generated"],
                "class_names": ["x", "y"],
                "options": {"kappa": "4"},
            },
            "e": {"kind": "folder", "sources": ["directory"], "options": {"size": 0}},
        },
    }
    problems = find_problems(raw)
    for start in (
        *("models.a.architecture: missing", "models.a.weights: 3 is not valid", "models.b: must be a table"),
        *(
            "datasets.c.kind: 'video' is not valid; one of cifar10",
            "datasets.c.sources: ",
            "datasets.c.class_names",
        ),
        *(
            "datasets.d.options.kappa: a number",
            "datasets.d.images_memory: missing",
            "datasets.e.options.size: ",
        ),
    ):
        assert any(problem.startswith(start) for problem in problems), (start, problems)
    assert all("\n" not in problem for problem in problems)


def test_built_in_file_has_no_problem():
    import tomllib

    import u1core.catalog as module

    assert find_problems(tomllib.loads(Path(module.__file__).with_name("catalog.toml").read_text())) == []


@pytest.mark.parametrize("text", ["[models.mine\n", MODEL + MODEL])
def test_not_toml_and_doubled_ids(tmp_path, text):
    with pytest.raises(U1Error, match=r"expected a catalog in TOML; got .*mine\.toml.*line"):
        load_catalog(write(tmp_path, text))


def test_missing_file(tmp_path):
    with pytest.raises(U1Error, match="a readable catalog file"):
        load_catalog(tmp_path / "none.toml")


def test_identity_follows_what_changes_activations():
    entry = CATALOG.models["cifar10_resnet20"]
    identity = identity_of(entry)
    assert set(identity) == {"architecture", "weights", "sha256", "preprocessing", "layers"}
    assert json.loads(identity["preprocessing"])["size"] == 32
    assert identity_of(replace(entry, description="other", label_space="other")) == identity
    assert identity_of(replace(entry, layers=("layer3",))) != identity
    assert identity_of(replace(entry, preprocessing=replace(entry.preprocessing, size=33))) != identity


def test_identity_of_enum_weights_has_their_preprocessing():
    numbers = json.loads(identity_of(CATALOG.models["resnet50"])["preprocessing"])
    assert (numbers["crop_size"], numbers["resize_size"]) == ([224], [232])  # second recipe


@pytest.mark.parametrize("entry", CATALOG.models.values(), ids=lambda e: e.id)
def test_every_model_entry(entry):
    assert entry.bottleneck in entry.layers[-2:]  # after it at most the global pool's 1 x 1
    assert entry.description
    if entry.weights.startswith("torchvision:"):
        from u1core.networks.sources.torchvision_models import weights_enum

        weights = weights_enum(entry.weights)
        assert entry.sha256 == weights.url.removesuffix(".pth").rpartition("-")[2]
        assert len(weights.meta["categories"]) == 1000
    else:
        assert len(entry.sha256) == (64 if entry.has_weights else 0)


@pytest.mark.parametrize("entry", CATALOG.datasets.values(), ids=lambda e: e.id)
def test_every_dataset_entry(entry):
    assert len(entry.fingerprint) == 64
    assert len(entry.class_names) >= 2
    assert entry.images_memory and entry.images_query


def test_entries_cross_process_borders():
    catalog = load_catalog()
    for entry in (*catalog.models.values(), *catalog.datasets.values()):
        assert pickle.loads(pickle.dumps(entry)) == entry
