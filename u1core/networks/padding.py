"""Another padding for a whole network: what it fills with zeros at a map's edge comes from the map itself.

Zeros outside are the cheapest explanation of a bright centre: an edge sees less than the middle does. On a
torus ('circular') no place is special; a mirrored edge ('reflect') keeps the border and takes the zeros.
Shapes: B images, N channels, H x W positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from u1core.common.errors import U1Error
from u1core.networks.trace import Arguments, Follower, Value, record
from u1core.networks.traits import REARRANGEMENTS, traits_of

Sides = tuple[int, int, int, int]
"""Pixels at the left, right, top and bottom."""

Pair = int | tuple[int, ...]

FLAT = 1e-3
"""Largest step of a map that is called flat, as a share of its largest value: rounding makes 1e-5."""


def padded(mode: str) -> AbstractContextManager[object]:
    """Return what makes every padding of the networks inside it 'circular' or 'reflect'; '' leaves them.

    A padding wider than the map goes round the torus, or back and forth between its edges, as often as it
    takes (a map of one pixel has only that pixel to repeat).
    """
    return Repadded(mode) if mode else nullcontext()


class Repadded(TorchFunctionMode):
    """Changes the arguments of functions that pad; names and shapes of all values stay as they are.

    Args:
        mode: 'circular' or 'reflect'.
    """

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        """Call the function, or what pads differently in its place."""
        change = _CHANGES.get(func)
        return change(self.extend, *args, **(kwargs or {})) if change else func(*args, **(kwargs or {}))

    def extend(self, x: Tensor, sides: Sequence[int]) -> Tensor:
        """Extend maps (..., H, W); what is negative is cut off first."""
        left, right, top, bottom = sides
        if min(sides) < 0:
            x = functional.pad(x, [min(side, 0) for side in sides])
        for dim, before, after in ((-2, top, bottom), (-1, left, right)):
            size = x.shape[dim]
            outside = [*range(-before, 0)], [*range(size, size + after)]
            first, last = ([x.narrow(dim, self._inside(row, size), 1) for row in rows] for rows in outside)
            if first or last:  # views and one copy, which keeps the layout: ten times as fast as gathering
                x = torch.cat([*first, x, *last], dim)
        return x

    def _inside(self, row: int, size: int) -> int:
        """Return which row of a map stands at a row outside it."""
        if self.mode == "circular":
            return row % size
        period = max(2 * (size - 1), 1)
        return min(row % period, period - row % period)


Extend = Callable[[Tensor, Sequence[int]], Tensor]


def _conv2d(
    extend: Extend,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = 1,
    padding: Pair | str = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Tensor:
    return torch.conv2d(
        extend(input, _convolved(padding, weight.shape[2:], dilation)),
        weight,
        bias,
        stride,
        0,
        dilation,
        groups,
    )


def _convolved(padding: Pair | str, kernel: Sequence[int], dilation: Pair) -> Sides:
    """Return how far a convolution pads: by numbers, or so that the map stays as large ('same')."""
    if padding == "same":
        reach = [d * (k - 1) for d, k in zip(_pair(dilation), kernel, strict=True)]
        return (reach[1] // 2, reach[1] - reach[1] // 2, reach[0] // 2, reach[0] - reach[0] // 2)
    rows, columns = (0, 0) if isinstance(padding, str) else _pair(padding)
    return (columns, columns, rows, rows)


def _max_pool2d(
    extend: Extend,
    input: Tensor,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,  # never: with indices it goes by another name
) -> Tensor:
    sides = _pooled(input, kernel_size, stride, padding, dilation, ceil_mode)
    return functional.max_pool2d(extend(input, sides), kernel_size, stride or None, 0, dilation)


def _avg_pool2d(
    extend: Extend,
    input: Tensor,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    sides = _pooled(input, kernel_size, stride, padding, 1, ceil_mode)
    pooled = functional.avg_pool2d(extend(input, sides), kernel_size, stride or None)
    if divisor_override is None:
        return pooled
    rows, columns = _pair(kernel_size)
    return pooled * (rows * columns / divisor_override)


def _pooled(
    x: Tensor, kernel: Pair, stride: Pair | None, padding: Pair, dilation: Pair, ceil_mode: bool
) -> Sides:
    """Return how far a pool looks beyond the map: its padding, and with `ceil_mode` the rest."""
    after = []
    axes = zip(x.shape[-2:], *map(_pair, (kernel, stride or kernel, padding, dilation)), strict=True)
    for size, window, step, pad, spread in axes:
        reach = spread * (window - 1) + 1
        steps, rest = divmod(size + 2 * pad - reach, step)
        starts_inside = (steps + 1) * step < size + pad
        after.append(pad + (step - rest if ceil_mode and rest and starts_inside else 0))
    rows, columns = _pair(padding)
    return (columns, after[1], rows, after[0])


def _unfold(
    extend: Extend,
    input: Tensor,
    kernel_size: Pair,
    dilation: Pair = 1,
    padding: Pair = 0,
    stride: Pair = 1,
) -> Tensor:
    rows, columns = _pair(padding)
    extended = extend(input, (columns, columns, rows, rows))
    return functional.unfold(extended, kernel_size, dilation, 0, stride)


def _pad(
    extend: Extend,
    input: Tensor,
    pad: Sequence[int],
    mode: str = "constant",
    value: float | None = None,
) -> Tensor:
    """Extend the last two axes; channels, which no picture goes beyond, are padded as they were."""
    sides, others = (*pad, 0, 0)[:4], pad[4:]
    extended = extend(input, sides)
    return functional.pad(extended, (0, 0, 0, 0, *others), mode, value) if any(others) else extended


def _pair(numbers: Pair) -> tuple[int, ...]:
    if isinstance(numbers, int):
        return (numbers, numbers)
    return numbers if len(numbers) == 2 else (*numbers, *numbers)


_CHANGES: Mapping[Callable[..., Any], Callable[..., Tensor]] = {
    torch.conv2d: _conv2d,
    torch.max_pool2d: _max_pool2d,
    functional.max_pool2d: _max_pool2d,
    functional.avg_pool2d: _avg_pool2d,
    functional.pad: _pad,
    functional.unfold: _unfold,
}
"""What pads a map, and what does so in its place."""

_ALWAYS_REFUSED = {
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), "a transposed convolution"),
    **dict.fromkeys(("fold", "grid_sample", "deform_conv2d", "max_unpool2d"), "places that it computes"),
    **dict.fromkeys(("constant_pad_nd", "reflection_pad2d", "replication_pad2d"), "a padding of its own"),
    **dict.fromkeys(("convolution", "max_pool2d_with_indices"), "a padding of its own"),
    **dict.fromkeys(("avg_pool3d", "max_pool3d", "conv3d"), "maps in three dimensions"),
}
"""Operations that look beyond a map's edge where nobody can say what stands there, and why."""


def check_padding(network: nn.Module, size: int, mode: str, of: str) -> int:
    """Raise U1Error unless every padding of a network can be changed; count those that are.

    Two proofs: no operation is known to look beyond an edge in another way, and a picture of one colour stays
    flat from layer to layer, as it does wherever nothing but the map itself stands outside it. What position
    embeddings add is no padding: behind them a map need not be flat.

    Args:
        network: In evaluation mode.
        size: Side of the pictures, px.
        mode: 'circular' or 'reflect'.
        of: What the network is called in messages.
    """
    if scripted := next(
        (n for n, m in network.named_modules() if isinstance(m, torch.jit.ScriptModule)), None
    ):
        raise _refused(scripted or "the network", "compiled by torch.jit", mode, of)
    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    colour = torch.tensor([1.0, -0.5, 0.25], device=device).view(1, 3, 1, 1).expand(1, 3, size, size)
    with Repadded(mode):
        values = record(network, colour)
        for name, reason in _obstacles(values):
            raise _refused(name, reason, mode, of)
        with torch.no_grad(), _Flatness(network, colour.clone()) as flatness:
            network(flatness.picture)
    if flatness.uneven:
        name, operation = flatness.uneven
        raise _refused(name, f"{operation} draws an edge on a picture of one colour", mode, of)
    return sum(_pads(value) for value in values)


def _refused(name: str, reason: str, mode: str, of: str) -> U1Error:
    return U1Error(f"a padding of {of} that can be made {mode}", f"{name}: {reason}", "leave the variant out")


def _obstacles(values: Sequence[Value]) -> Iterator[tuple[str, str]]:
    """Yield names of values behind an edge that can't be changed, and why."""
    traits = traits_of(values)
    for value in (value for value in values if value.inputs):
        name, operation, (args, kwargs) = value.names[0], value.operation, value.arguments
        if operation in _ALWAYS_REFUSED:
            yield name, _ALWAYS_REFUSED[operation]
        elif operation == "unknown" and len(value.shape) == 4:
            yield name, "what it does is not written in torch's functions"
        elif operation in ("interpolate", "upsample"):
            if kwargs.get("mode", "nearest") not in ("nearest", "nearest-exact"):
                yield name, f"{operation} ({kwargs['mode']}), which repeats the edge"
        elif operation == "lp_pool2d" and (kwargs.get("ceil_mode") or True in args[3:]):
            yield name, "a pool that ends beyond the edge"
        elif operation == "conv1d" and _reach(value) and _channels(values[value.inputs[0]]) != 1:
            yield name, "a padded convolution along one axis"  # over channels, as in ECA, it is no padding
        elif operation == "pad" and any(_of_pad(value)):
            before = value.inputs[0]
            if len(values[before].shape) != 4 or traits[before].channel_axis != 1:
                yield name, "a pad of what is no map (B, N, H, W)"


def _channels(value: Value) -> int:
    return value.shape[1] if len(value.shape) > 1 else 0


def _of_pad(value: Value) -> Sequence[int]:
    args, kwargs = value.arguments
    pad: Sequence[int] = kwargs["pad"] if "pad" in kwargs else args[1]
    return pad


def _reach(value: Value) -> bool:
    """Tell whether a function is told to pad."""
    args, kwargs = value.arguments
    place = {"conv1d": 4, "conv2d": 4, "max_pool2d": 3, "avg_pool2d": 3, "unfold": 3}.get(value.operation)
    padding = kwargs.get("padding", args[place] if place and len(args) > place else 0)
    return padding != "valid" and any(n != 0 for n in pytree.tree_leaves(padding))


def _pads(value: Value) -> bool:
    """Tell whether a value was made by looking beyond the edge."""
    if not value.inputs:
        return False
    if value.operation == "pad":
        return any(_of_pad(value)[:4])
    in_the_plane = value.operation in ("conv2d", "max_pool2d", "avg_pool2d", "unfold", "boolean_dispatch")
    return in_the_plane and _reach(value)


class _Flatness(Follower):
    """Finds the first function that makes an uneven map of flat ones.

    Attributes:
        uneven: Its name and its operation; empty where there is none.
    """

    def __init__(self, network: nn.Module, picture: Tensor) -> None:
        super().__init__(network)
        self.picture = picture
        self.uneven: tuple[str, ...] = ()
        self._kept: dict[int, tuple[Tensor, bool]] = {id(picture): (picture, True)}

    def on_function(self, name: str, operation: str, arguments: Arguments, result: object) -> None:
        tensors = [t for t in pytree.tree_leaves(arguments) if isinstance(t, Tensor)]
        known = [self._kept[id(t)][1] for t in tensors if id(t) in self._kept]
        others = [t for t in tensors if id(t) not in self._kept]
        is_free = operation in _MOVED or (
            operation in _PLACED and any(max(t.shape[-2:], default=1) > 1 for t in others)
        )
        for made in pytree.tree_leaves(result):
            if isinstance(made, Tensor):
                is_flat = made.ndim == 4 and _is_flat(made)
                if known and all(known) and made.ndim == 4 and not is_flat and not is_free:
                    self.uneven = self.uneven or (name, operation)
                self._kept[id(made)] = (made, is_flat)


_PLACED = {"add", "sub", "mul"}
"""How a position embedding comes in."""

_MOVED = REARRANGEMENTS - {"pad", "roll", "interpolate", "upsample"}
"""What says nothing new: behind it a tensor may be no map, or one with other axes."""


def _is_flat(x: Tensor) -> bool:
    """Tell whether maps (B, N, H, W) or (B, H, W, N) are alike at every place."""
    allowed = FLAT * float(x.abs().max()) if x.numel() else 0.0
    return any(float((x.amax(axes) - x.amin(axes)).max()) <= allowed for axes in ((2, 3), (1, 2)))
