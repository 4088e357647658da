"""Models named where they are used, without a catalog entry."""

import re

import pytest
import timm

from u1core.catalog.catalog import _ID as VALID_ID
from u1core.catalog.catalog import load_catalog
from u1core.catalog.entries import ModelEntry
from u1core.common.errors import U1Error
from u1core.networks.identity import identity_of
from u1core.networks.references import is_model_reference, model_reference, select_models
from u1core.networks.resolve import resolve, select_networks
from u1core.networks.sources.source import UnsuitableError

CATALOG = load_catalog()


def four_lines(name, architecture, weights):
    fields = {"architecture": architecture, "weights": weights, "label_space": "mine"}
    return f"[models.{name}]\n" + "".join(f'{field} = "{value}"\n' for field, value in fields.items())


def ids(text, weights=None):
    return [entry.id for entry in model_reference(text, weights)]


def test_what_is_a_reference():
    for text in (
        "timm:resnet18",
        "timm:*",
        "torchvision:resnet50@IMAGENET1K_V1",
        "cifar_resnet:20",
        "code:a:b",
    ):
        assert is_model_reference(text)
    for text in ("resnet50", "timm:", "timm", "folder:/pictures", "*"):
        assert not is_model_reference(text)


def test_names_tags_and_globs_over_both():
    assert ids("timm:resnet18") == ["timm.resnet18.a1_in1k"]  # timm's default
    assert ids("timm:resnet18.tv_in1k") == ["timm.resnet18.tv_in1k"]
    assert ids("timm:resnet18.*") == [
        f"timm.{name}" for name in timm.models.get_arch_pretrained_cfgs("resnet18")
    ]
    assert ids("timm:resnet1?.tv_in1k") == ["timm.resnet18.tv_in1k"]
    assert ids("torchvision:resnet50") == ["torchvision.resnet50.IMAGENET1K_V2"]
    assert ids("torchvision:resnet50@*") == [f"torchvision.resnet50.IMAGENET1K_V{n}" for n in (2, 1)]
    assert ids("torchvision:*net_b0") == ["torchvision.efficientnet_b0.IMAGENET1K_V1"]
    assert ids("torchvision:regnet_y_400mf", "none") == ["torchvision.regnet_y_400mf.random"]
    assert ids("timm:resnet10t", "file:my nets/mine.pth") == ["timm.resnet10t.mine"]
    assert ids("cifar_resnet:*", "none")[:2] == ["cifar_resnet.20.random", "cifar_resnet.32.random"]


def test_an_entry_says_all_that_its_reference_does():
    (entry,) = model_reference("timm:resnet18.tv_in1k")
    assert (entry.architecture, entry.weights) == ("timm:resnet18", "timm:resnet18.tv_in1k")
    (entry,) = model_reference("torchvision:resnet50@IMAGENET1K_V1")
    assert (entry.architecture, entry.weights) == (
        "torchvision:resnet50",
        "torchvision:resnet50@IMAGENET1K_V1",
    )


def test_every_network_with_published_weights_has_a_valid_id():
    entries = [*model_reference("timm:*"), *model_reference("torchvision:*@*")]
    assert len(entries) > 1000
    assert len({entry.id for entry in entries}) == len(entries)
    assert all(VALID_ID.fullmatch(entry.id) for entry in entries)
    default = {timm.models.get_pretrained_cfg(name).tag for name in ("resnet50", "convnext_tiny")}
    assert default == {
        e.weights.partition(".")[2] for e in entries if re.search(r":(resnet50|convnext_tiny)\.", e.weights)
    }
    # Architectures without weights are no part of a glob.
    assert "timm:resnet10" not in {e.architecture for e in entries}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("timm:resnet81", r"an architecture of timm; got 'resnet81'; nearest: resnet18"),
        ("timm:resnet18.v9", r"weights of timm:resnet18; got 'v9'; take one of a1_in1k, "),
        ("torchvision:resnet50@V9", r"weights of torchvision:resnet50; got 'V9'; take one of IMAGENET1K_V2"),
        ("torchvision:fasterrcnn_resnet50_fpn", r"an architecture of torchvision; got"),
        ("timm:vit_base_patch16_gap_224", r"got none named; it has none: name a file, or 'none'"),
        ("timm:*nothing*", r"a glob that matches names of timm"),
        ("timm:resnet18.*nothing*", r"a glob that matches published weights of timm"),
        ("tensorflow:resnet", r"a reference to a model; got 'tensorflow:resnet'; take one of timm:<name>, "),
    ],
)
def test_wrong_references(text, message):
    with pytest.raises(U1Error, match=message):
        select_models(CATALOG, text)


@pytest.mark.parametrize("weights", ["file:../w.pth", "file:w.pkl", "ftp:w", "", "file:"])
def test_wrong_weights_beside_a_reference(weights):
    with pytest.raises(U1Error, match=r"weights as package:<distribution>, embedded:<name>, file:<path>"):
        model_reference("timm:resnet18", weights)


def test_references_stand_beside_ids_in_the_order_asked_for():
    chosen = select_models(CATALOG, "vgg16, timm:resnet18 ,timm:resnet1?,efficientnet_lite*")
    assert [m.id for m in chosen][:2] == ["vgg16", "timm.resnet18.a1_in1k"]
    assert [m.id for m in chosen][-1] == "efficientnet_lite2"
    assert len({m.id for m in chosen}) == len(chosen)


# --- what a reference leaves out is found ---


def test_two_recipes_of_one_architecture_are_two_models():
    old, new = (resolve(*model_reference(f"torchvision:resnet50@IMAGENET1K_V{n}")) for n in (1, 2))
    assert (old.sha256, new.sha256) == ("0676ba61", "11ad3fa6")
    assert old.id != new.id and identity_of(old) != identity_of(new)
    built_in = CATALOG.models["resnet50"]
    assert identity_of(new) == identity_of(built_in)  # found is what was written by hand
    assert (new.bottleneck, new.label_space) == (built_in.bottleneck, built_in.label_space)


def test_preprocessing_and_label_space_travel_with_the_weights():
    tv, a1, wide = (
        resolve(*model_reference(f"timm:{n}"))
        for n in ("resnet18.tv_in1k", "resnet18", "convnext_tiny.fb_in22k")
    )
    assert (tv.preprocessing.crop_pct, tv.preprocessing.interpolation) == (0.875, "bilinear")
    assert (a1.preprocessing.crop_pct, a1.preprocessing.interpolation) == (0.95, "bicubic")
    assert (a1.label_space, wide.label_space) == ("imagenet1k", "imagenet22k")
    assert identity_of(tv) != identity_of(a1)
    assert resolve(tv) == tv


def test_what_an_entry_says_is_kept(tmp_path):
    path = tmp_path / "catalog.toml"
    path.write_text(four_lines("mine", "timm:resnet18", "timm:resnet18.tv_in1k"))
    entry = load_catalog(path).models["mine"]
    found = resolve(entry)
    assert (found.id, found.label_space, found.bottleneck) == ("mine", "mine", "layer4")
    path.write_text(
        path.read_text() + 'sha256 = "01234567"\nlayers = ["layer2", "layer3"]\nbottleneck = "layer3"\n'
    )
    found = resolve(load_catalog(path).models["mine"])
    assert (found.sha256, found.layers, found.bottleneck) == ("01234567", ("layer2", "layer3"), "layer3")


def test_every_built_in_entry_is_already_resolved():
    assert [resolve(entry) for entry in CATALOG.models.values()] == list(CATALOG.models.values())


# --- a selection for a sweep ---


def test_a_glob_leaves_out_what_cannot_be_looked_at():
    chosen = select_networks(CATALOG, "timm:vit_tiny_patch16_224,timm:resnet10t".replace("_224", "_22?"))
    assert [m.id for m in chosen.models] == ["timm.resnet10t.c3_in1k"]
    (reason,) = chosen.left_out.values()
    assert list(chosen.left_out) == ["timm.vit_tiny_patch16_224.augreg_in21k_ft_in1k"]
    assert "for timm:vit_tiny_patch16_224; got" in reason and not chosen.failed


@pytest.mark.parametrize(
    "patterns", ["timm:vit_tiny_patch16_224", "timm:vit_tiny_patch16_224,timm:*_tiny_patch16_224"]
)
def test_named_exactly_it_is_an_error(patterns):
    with pytest.raises(UnsuitableError, match="a network whose signal stays a map"):
        select_networks(CATALOG, patterns)


def test_a_mistake_in_one_entry_does_not_stop_the_others(tmp_path):
    path = tmp_path / "catalog.toml"
    path.write_text(
        "".join(
            four_lines(*entry)
            for entry in [
                ("a", "timm:resnet81", "none"),
                ("b", "timm:resnet10t", "timm:resnet10t.v9"),
                ("c", "timm:resnet10t", "none"),
            ]
        )
    )
    catalog = load_catalog(path)
    chosen = select_networks(catalog, "a,b,c")
    assert [m.id for m in chosen.models] == ["c"] and not chosen.left_out
    assert "got 'resnet81'; nearest" in chosen.failed["a"] and "got 'v9'" in chosen.failed["b"]
    with pytest.raises(U1Error, match="resnet81"):  # nothing is left to run
        select_networks(catalog, "a,b")


def test_entries_of_references_are_hashable_and_frozen():
    (entry,) = model_reference("timm:resnet18")
    assert isinstance(entry, ModelEntry) and hash(entry) == hash(model_reference("timm:resnet18")[0])
