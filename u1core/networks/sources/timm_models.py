"""`timm:<name>` and `timm:<name>.<tag>`: the networks of timm, weights from its model hub."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import timm
from timm.models import get_arch_pretrained_cfgs, get_pretrained_cfg
from torch import Tensor, nn

from u1core.catalog.entries import Preprocessing
from u1core.networks.sources.files import HubFile, UrlFile
from u1core.networks.sources.source import ModelSource, UnsuitableError, Weights

_LABEL_SPACES = {0: "none", 21841: "imagenet22k"}


class Timm(ModelSource):
    """The networks of timm; the configuration of the weights brings the preprocessing."""

    separator = "."

    def names(self) -> Sequence[str]:
        """Return every architecture."""
        names: list[str] = timm.list_models()
        return names

    def knows(self, name: str) -> bool:
        """Tell whether this is an architecture, without a tag."""
        return "." not in name and bool(timm.is_model(name))

    def build(self, name: str, tag: str = "", classes: int | None = None) -> nn.Module:
        """Build an architecture; the tag decides on classes and input size where they are not told."""
        options: dict[str, Any] = {} if classes is None else {"num_classes": classes}
        network: nn.Module = timm.create_model(_name(name, tag), pretrained=False, **options)
        return network

    def tags(self, name: str) -> Sequence[str]:
        """Return the tags that have weights."""
        first = getattr(_config(name), "tag", None)
        configs = get_arch_pretrained_cfgs(name).values()
        found = [config.tag or "" for config in configs if config.has_weights]
        return sorted(found, key=lambda tag: tag != first)

    def weights(self, name: str, tag: str) -> Weights:
        """Describe weights by their configuration."""
        config = _config(_name(name, tag))
        hub_id = config.hf_hub_id
        file = HubFile(hub_id) if hub_id else UrlFile(config.url)
        return Weights(file, _label_space(config.num_classes, tag), _numbers(name, config))

    def load(self, name: str, tag: str, state: dict[str, Tensor]) -> nn.Module:
        """Let timm load the tensors: it knows what some older files of its networks need."""
        network: nn.Module = timm.create_model(
            _name(name, tag), pretrained=True, pretrained_cfg_overlay={"state_dict": state}
        )
        vars(network)["pretrained_cfg"].pop("state_dict")  # a second copy of the weights
        return network

    def default_preprocessing(self, name: str) -> Preprocessing | None:
        """Return the numbers of the default weights."""
        config = _config(name)
        return None if config is None else _numbers(name, config)


def _config(name: str) -> Any:  # noqa: ANN401 (some fields of its class are declared wider than they are)
    return get_pretrained_cfg(name)


def _name(name: str, tag: str) -> str:
    return f"{name}.{tag}" if tag else name


def _label_space(classes: int, tag: str) -> str:
    if classes == 1000 and "in1k" in tag:
        return "imagenet1k"
    return _LABEL_SPACES.get(classes, f"{classes}_classes")


def _numbers(name: str, config: Any) -> Preprocessing:  # noqa: ANN401 (see above)
    """Return the preprocessing of a configuration; the one of training, where testing had another."""
    channels, height, width = config.input_size
    if (
        channels != 3
        or height != width
        or config.crop_mode not in ("center", "squash")
        or config.crop_pct > 1
    ):
        got = f"{channels} x {height} x {width}, crop mode {config.crop_mode}, crop_pct {config.crop_pct}"
        todo = "leave it out, or give an entry its own preprocessing"
        raise UnsuitableError(f"square colour pictures, cropped or squashed, for timm:{name}", got, todo)
    return Preprocessing(
        size=height,
        crop_pct=config.crop_pct,
        interpolation=config.interpolation,
        mean=config.mean,
        std=config.std,
        crop_mode=config.crop_mode,
    )
