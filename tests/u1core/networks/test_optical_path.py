"""The optical path, found: as in the entries made by hand, in every family of torchvision and timm."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from u1core.catalog.catalog import load_catalog
from u1core.common.errors import U1Error
from u1core.networks.build import build_network
from u1core.networks.optical_path import describe_layers, find_path
from u1core.networks.trace import on_meta

CATALOG = load_catalog()
NETWORKS = [name for name, entry in CATALOG.models.items() if not entry.is_baseline]
SIZES = {"cifar10_resnet20": 32, "cifar10_resnet32": 32, "inception_v3": 299}


@pytest.mark.parametrize("model", NETWORKS)
def test_finds_what_was_chosen_by_hand(model):
    entry = CATALOG.models[model]
    network = on_meta(lambda: build_network(entry, trained=False))
    path = find_path(network, SIZES.get(model, 224))
    by_hand = describe_layers(network, SIZES.get(model, 224), entry.layers)
    assert [replace(layer, path="") for layer in path.layers] == [replace(b, path="") for b in by_hand]
    assert all(hand.startswith(name) for hand, name in zip(entry.layers, path.names, strict=True))
    assert path.bottleneck == entry.bottleneck
    assert not path.attends
    signed = {"mobilenet_v3_large": {"hardswish"}, "convnext_tiny": {None}}.get(model, set())
    assert {layer.nonlinearity for layer in path.layers if not layer.non_negative} == signed


def torchvision_network(name):
    from torchvision import models

    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return on_meta(lambda: models.get_model(name, weights=None, **options))


FAMILIES = {
    "alexnet": (6, "features.12", 256, 6, "relu"),
    "densenet169": (6, "relu", 1664, 7, "relu"),
    "efficientnet_b0": (6, "features.8", 1280, 7, "silu"),
    "efficientnet_v2_s": (6, "features.7", 1280, 7, "silu"),
    "googlenet": (6, "inception5b", 1024, 7, "relu"),
    "mnasnet0_5": (6, "layers.16", 1280, 7, "relu"),
    "mobilenet_v2": (6, "features.18", 1280, 7, "relu6"),
    "mobilenet_v3_small": (6, "features.12", 576, 7, "hardswish"),
    "regnet_y_400mf": (6, "trunk_output.block4", 440, 7, "relu"),
    "resnext50_32x4d": (6, "layer4", 2048, 7, "relu"),
    "shufflenet_v2_x1_0": (6, "conv5", 1024, 7, "relu"),
    "squeezenet1_1": (5, "classifier.2", 1000, 13, "relu"),
    "vgg19_bn": (6, "features.52", 512, 7, "relu"),
    "wide_resnet50_2": (6, "layer4", 2048, 7, "relu"),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_families_of_torchvision(name):
    count, bottleneck, channels, size, nonlinearity = FAMILIES[name]
    path = find_path(torchvision_network(name), 299 if name == "inception_v3" else 224)
    focused = path.layers[-1] if path.layers[-1].path == bottleneck else path.layers[-2]
    assert path.bottleneck == bottleneck == focused.path
    assert (focused.channels, focused.height, focused.nonlinearity) == (channels, size, nonlinearity)
    assert focused.non_negative == (nonlinearity in ("relu", "relu6"))
    assert len(path.layers) == {"alexnet": 4}.get(name, count)


def timm_families():
    """A network of every module of timm: the first of its list, where that is not a large one."""
    import timm

    smaller = {"sequencer": "sequencer2d_s"}
    return [(m, smaller.get(m, timm.list_models(module=m)[0])) for m in timm.list_modules()]


TRANSFORMERS = {
    *("beit", "cait", "convit", "crossvit", "deepseek_vit", "deit", "efficientvim", "eva", "gemma4_vit"),
    *("hiera", "hieradet_sam2", "levit", "mlp_mixer", "mvitv2", "naflexvit", "nest", "pit", "qwen3_vit"),
    *("swin_transformer", "swin_transformer_v2", "swin_transformer_v2_cr", "tnt", "vision_transformer"),
    *("vision_transformer_hybrid", "vision_transformer_relpos", "vision_transformer_sam", "vitamin", "volo"),
    *("xcit",),
}


@pytest.mark.parametrize(("module", "name"), timm_families())
def test_families_of_timm(module, name):
    import timm

    network = on_meta(lambda: timm.create_model(name, pretrained=False))
    size = network.pretrained_cfg["input_size"][-1]
    if module in TRANSFORMERS:
        with pytest.raises(U1Error, match=r"stays a map .* a pure transformer has tokens instead"):
            find_path(network, size)
        return
    path = find_path(network, size)
    pixels = [layer.height * layer.width for layer in path.layers]
    assert pixels == sorted(set(pixels), reverse=True)
    assert [layer.path for layer in path.layers if layer.height > 1][-1] == path.bottleneck
    assert len(set(path.names)) == len(path.names)
    assert describe_layers(network, size, path.names) == path.layers


@pytest.mark.parametrize(
    ("name", "bottleneck"),
    [("coatnet_0_224", "stages.3"), ("vit_base_r50_s16_224", "patch_embed.backbone.stages.2")],
)
def test_hybrids_that_end_in_a_map_or_start_as_a_cnn(name, bottleneck):
    import timm

    path = find_path(on_meta(lambda: timm.create_model(name, pretrained=False)), 224)
    assert path.bottleneck == bottleneck and path.attends


class Small(nn.Module):
    """Two stages and a head around a non-linearity of one's own."""

    def __init__(self, nonlinearity):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 2, 1)
        self.nonlinearity, self.head = nonlinearity, nn.Linear(4, 2)

    def forward(self, x):
        x = self.nonlinearity(self.second(self.nonlinearity(self.first(x))))
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize(
    ("function", "name", "non_negative"),
    [
        (functional.relu, "relu", True),
        (functional.gelu, "gelu", False),
        (lambda x: x * x.sigmoid(), "silu", False),
        (lambda x: x * functional.relu6(x + 3) / 6, "hardswish", False),
        (lambda x: x.clamp(min=0), "clamp", True),
        (lambda x: functional.hardtanh(x, 0.0, 6.0), "relu6", True),
        (functional.hardtanh, "hardtanh", False),
        (lambda x: functional.relu(x) * 2.0, "relu", True),
        (lambda x: functional.relu(x) * -2.0, "relu", False),
        (lambda x: torch.cat([functional.relu(x[:, :2]), functional.silu(x[:, 2:])], 1), "silu", False),
        (lambda x: x, None, False),
    ],
)
def test_what_makes_activations_non_negative(function, name, non_negative):
    path = find_path(on_meta(lambda: Small(function)), 16)
    assert [(layer.height, layer.nonlinearity) for layer in path.layers] == [(8, name), (4, name), (1, name)]
    assert {layer.non_negative for layer in path.layers} == {non_negative}
    real = Small(function).eval()
    from u1core.networks.taps import Taps

    with torch.no_grad():
        found = Taps(real, path.names)(torch.randn(8, 3, 16, 16))
    assert (not non_negative) or all(layer.min() >= 0 for layer in found.values())


def test_channels_last_inside_and_shuffled_channels():
    class Inside(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.conv = nn.Conv2d(3, 6, 2, 2), nn.Conv2d(6, 6, 3, 2, 1)
            self.norm, self.head = nn.LayerNorm(6), nn.Linear(6, 2)

        def forward(self, x):
            x = self.norm(self.stem(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            x = functional.relu(self.conv(x))
            b, n, h, w = x.shape
            x = x.view(b, 2, n // 2, h, w).transpose(1, 2).reshape(b, n, h, w)
            return self.head(x.amax((2, 3)))

    path = find_path(on_meta(Inside), 16)
    assert [(layer.path, layer.channels, layer.height) for layer in path.layers] == [
        ("stem", 6, 8),
        ("reshape", 6, 4),
        ("amax", 6, 1),
    ]
    assert path.layers[1].nonlinearity == "relu" and path.layers[1].non_negative


def test_an_input_of_the_wrong_size_is_one_line():
    network = on_meta(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(400, 2)))
    with pytest.raises(U1Error, match="takes pictures 3 x 9 x 9; got RuntimeError") as caught:
        find_path(network, 9)
    assert "\n" not in str(caught.value)


def test_layers_by_name_and_what_they_are_told():
    class InPlace(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.act, self.head = nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True), nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.act(self.conv(x)).mean((2, 3)))

    network = on_meta(InPlace)
    (layer,) = describe_layers(network, 8, ["act"])
    assert (layer.channels, layer.height, layer.nonlinearity, layer.non_negative) == (4, 8, "relu", True)
    for name, message in (
        ("conv", "overwritten by relu; take the value behind it"),
        ("atc", "'atc'; nearest: act"),
    ):
        with pytest.raises(U1Error, match=message):
            describe_layers(network, 8, [name])
