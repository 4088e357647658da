"""Find the optical path of any network: the last activation of every resolution, down to the bottleneck.

The network runs once on the meta device: shapes are real, no number is computed, no weights are needed.
Shapes: B images, N channels, H x W positions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from u1core.catalog.entries import ModelEntry
from u1core.catalog.fields import nearest
from u1core.common.errors import U1Error, reason_of
from u1core.networks.trace import Value, cut_points, record
from u1core.networks.traits import CONVOLUTIONS, IDENTITIES, LEARNED, NORMS, Trait, traits_of

# Two images: what a network folds into the batch axis (windows, groups) is told apart from images.
_BATCH = 2


@dataclass(frozen=True)
class Layer:
    """One layer t of the optical path.

    Attributes:
        path: Its name, as `u1core.networks.taps.Taps` takes it.
        channels: N.
        height: H.
        width: W.
        nonlinearity: What the activations come from, such as 'relu'; None where none stands behind the layer.
        non_negative: Whether A >= 0 by construction; else `negative_share` says how much is not.
    """

    path: str
    channels: int
    height: int
    width: int
    nonlinearity: str | None
    non_negative: bool

    def __str__(self) -> str:
        shape = f"{self.channels} x {self.height} x {self.width}"
        return f"{shape}, {self.nonlinearity or 'no non-linearity'}"


@dataclass(frozen=True)
class OpticalPath:
    """The last activation of every resolution, in order of execution.

    Attributes:
        layers: Strictly falling in resolution; the last may be the 1 x 1 of a global pool.
        bottleneck: The layer with the last H x W > 1 before the collapse.
        attends: Whether positions look at each other by attention somewhere: a hybrid, no plain CNN.
    """

    layers: tuple[Layer, ...]
    bottleneck: str
    attends: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The layers by name."""
        return tuple(layer.path for layer in self.layers)


def find_path(network: nn.Module, size: int) -> OpticalPath:
    """Find the optical path of a network.

    Of each resolution the last value is taken through which the whole signal passes: after a non-linearity
    where there is such a one, else after the last residual sum.

    Args:
        network: In evaluation mode, on any device; it is run on the device of its parameters.
        size: Side of the square picture, px.

    Returns:
        The path.

    Raises:
        U1Error: The network cannot run on such a picture, or no map (N, H, W) leads most of the way through
            it, as in a pure transformer.
    """
    values = record_on(network, size)
    cuts = cut_points(values)
    traits = traits_of(values)
    maps = [value for value in cuts[1:] if _is_map(value, traits[value.index])]
    if not maps:
        raise _refused("no value (N, H, W) that the whole signal passes through")
    _check_share(values, maps)
    path = [_last_activation(same, values, traits) for same in _falling(maps)]
    names = _names(path + _global_pool(cuts, path[-1]))
    layers = [_layer(values[index], name, traits) for index, name in names.items()]
    return OpticalPath(tuple(layers), names[path[-1].index], any(map(_is_attention, values)))


def describe_layers(
    network: nn.Module, size: int, names: Sequence[str], of: str = "the network"
) -> tuple[Layer, ...]:
    """Describe layers by name.

    Args:
        network: As for `find_path`.
        size: Side of the square picture, px.
        names: Names of values of the forward pass.
        of: What the network is called in messages.

    Raises:
        U1Error: A name is no value of the forward pass, the value is no map, or it does not last.
    """
    values = record_on(network, size)
    traits = traits_of(values)
    of_name = {name: value for value in values for name in value.names}
    layers = []
    for name in names:
        if name not in of_name:
            raise U1Error(f"a layer of {of}", f"'{name}'", f"nearest: {nearest(name, of_name)}")
        value = of_name[name]
        if value.overwritten_by or len(value.shape) not in (2, 4):
            got = f"overwritten by {value.overwritten_by}" if value.overwritten_by else f"shape {value.shape}"
            raise U1Error(
                f"a layer {name} of {of} with maps (N, H, W) that last", got, "take the value behind it"
            )
        layers.append(_layer(value, name, traits))
    return tuple(layers)


def record_on(network: nn.Module, size: int) -> list[Value]:
    """Record a network on the device of its parameters.

    Raises:
        U1Error: It cannot run on pictures (3, size, size).
    """
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    try:
        return record(network, torch.zeros(_BATCH, 3, size, size, device=device))
    except Exception as error:  # a network may fail in any way
        reason = reason_of(error)
        todo = "give it its own input size, or the layers by hand"
        first = next((module for module in network.modules() if isinstance(module, nn.Conv2d)), None)
        if first is not None and first.in_channels != 3:
            reason = f"one whose first convolution takes {first.in_channels} channels"
            todo = "let its forward make them of the three colours, such as x.mean(1, keepdim=True)"
        raise U1Error(f"a network that takes pictures 3 x {size} x {size}", reason, todo) from error


def _refused(reason: str) -> U1Error:
    return U1Error(
        "a network whose signal stays a map (N, H, W) down to a bottleneck",
        reason,
        "a pure transformer has tokens instead: take a CNN or a hybrid that ends in a map",
    )


def _is_map(value: Value, trait: Trait) -> bool:
    return (
        len(value.shape) == 4
        and value.shape[0] == _BATCH
        and trait.channel_axis == 1
        and math.prod(value.shape[2:]) > 1
        and value.operation != "pad"
        and not value.overwritten_by
    )


def _check_share(values: Sequence[Value], maps: Sequence[Value]) -> None:
    """Refuse a network that does most of its work on something else than maps."""
    ahead = _ancestors(values, maps[-1].index)
    resolutions = len({value.shape[2:] for value in maps})
    learned = [v.index for v in values if v.operation in LEARNED]
    convolutions = sum(values[index].operation in CONVOLUTIONS for index in ahead)
    if convolutions < 2 or (resolutions < 2 and 2 * convolutions < len(learned)):
        raise _refused("no convolution but the one that makes patches of the picture")
    before = sum(index in ahead for index in learned)
    if 2 * before < len(learned):
        raise _refused(
            f"tokens: {len(learned) - before} of {len(learned)} learned operations come after the last map"
        )


def _is_attention(value: Value) -> bool:
    products = ("matmul", "bmm", "einsum", "baddbmm")
    return "attention" in value.operation or (value.operation in products and len(value.inputs) > 1)


def _ancestors(values: Sequence[Value], index: int) -> set[int]:
    seen, stack = {index}, [index]
    while stack:
        for i in values[stack.pop()].inputs:
            if i not in seen:
                seen.add(i)
                stack.append(i)
    return seen


def _falling(maps: Sequence[Value]) -> list[list[Value]]:
    """Group maps by resolution, largest first; what comes before a larger map is left out."""
    groups: dict[tuple[int, ...], list[Value]] = {}
    for value in maps:
        size = value.shape[2:]
        groups = {s: same for s, same in groups.items() if s == size or math.prod(s) > math.prod(size)}
        groups.setdefault(size, []).append(value)
    return list(groups.values())


def _last_activation(same: Sequence[Value], values: Sequence[Value], traits: Sequence[Trait]) -> Value:
    """Choose among the cut points of one resolution: no residual sum follows the last activation."""
    activated = [v for v in same if traits[v.index].nonlinearity]
    sums = [v for v in same if traits[v.index].made_by == "add"]
    unnormalised = [v for v in same if traits[v.index].made_by not in NORMS]
    if activated and (not sums or activated[-1].index >= sums[-1].index):
        return _unchanged_since(activated[-1], values, same)
    return next(found[-1] for found in (sums, unnormalised, same) if found)


def _unchanged_since(value: Value, values: Sequence[Value], same: Sequence[Value]) -> Value:
    """Go back over what changes nothing at this resolution: dropout, a pool onto its own size."""
    while value.inputs:
        before = values[value.inputs[0]]
        if value.operation not in IDENTITIES or before not in same or before.shape != value.shape:
            break
        value = before
    return value


def _global_pool(cuts: Sequence[Value], bottleneck: Value) -> list[Value]:
    """Return the pool of the bottleneck, (B, N, 1, 1) or (B, N), where the network has one; else nothing."""
    behind = (value for value in cuts if value.index > bottleneck.index)
    single = (value for value in behind if len(value.shape) in (2, 4) and math.prod(value.shape[2:]) == 1)
    return [value for value in list(single)[:1] if value.shape[1] == bottleneck.shape[1]]


def _names(path: Sequence[Value]) -> dict[int, str]:
    """Name every layer by the outermost module that returns it and holds no other layer of the path."""
    names = {}
    for value in path:
        own = value.names[0]
        others = [other.names[0] for other in path if other is not value]
        around = [name for name in value.names if own.startswith(f"{name}.")]
        free = [name for name in around if not any(other.startswith(f"{name}.") for other in others)]
        names[value.index] = free[-1] if free else own
    return names


def _layer(value: Value, name: str, traits: Sequence[Trait]) -> Layer:
    _, channels, *size = value.shape
    height, width = size or (1, 1)
    trait = traits[value.index]
    return Layer(name, channels, height, width, trait.nonlinearity, trait.non_negative)


def check_path(model: ModelEntry, sizes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise U1Error unless resolution falls along the layers and the bottleneck is the last above 1 x 1."""
    pixels = {name: math.prod(size) for name, size in sizes.items()}
    seen = list(pixels.values())
    focused = [name for name, count in pixels.items() if count > 1]
    if seen != sorted(seen, reverse=True) or focused[-1:] != [model.bottleneck]:
        path = ", ".join(f"{name} {'x'.join(map(str, size))}" for name, size in sizes.items())
        raise U1Error(
            f"the layers of {model.id} in order of falling resolution, the bottleneck the last above 1x1",
            f"{path}; bottleneck {model.bottleneck}",
            f"correct models.{model.id} in the catalog",
        )
