"""What follows from the operations of a forward pass: where the channels are, what made a value non-linear.

Shapes: B images, N channels, H x W positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch.utils import _pytree as pytree

from u1core.networks.trace import Reference, Value

_RECTIFIERS = {"relu", "relu6", "sigmoid", "hardsigmoid", "softmax", "softplus", "square", "abs", "exp"}
_SIGNED_NONLINEARITIES = {
    *("silu", "gelu", "hardswish", "elu", "selu", "celu", "leaky_relu", "rrelu", "mish", "prelu", "tanh"),
    *("softsign", "logsigmoid", "tanhshrink", "hardshrink", "softshrink", "glu"),
}
_GATES = {"sigmoid", "hardsigmoid", "relu6", "hardtanh", "clamp", "tanh", "softmax"}
_SELF_GATED = {"sigmoid": "silu", "tanh": "mish"}
_POOLS = {
    *("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "lp_pool2d", "mean", "amax"),
    *("boolean_dispatch", "fractional_max_pool2d"),
}
REARRANGEMENTS = {
    *("dropout", "dropout2d", "feature_dropout", "alpha_dropout", "flatten", "view", "reshape", "permute"),
    *(
        "transpose",
        "contiguous",
        "getitem",
        "chunk",
        "split",
        "narrow",
        "squeeze",
        "unsqueeze",
        "clone",
        "to",
    ),
    *("type", "float", "half", "interpolate", "upsample", "pad", "roll", "movedim", "unflatten", "view_as"),
    *("pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "native_channel_shuffle", "expand", "identity"),
    *("unbind", "swapaxes", "reshape_as", "type_as", "detach", "tensor_split", "swapdims", "select"),
}
_SUMS = {"add", "cat", "concat", "concatenate", "stack", "maximum", "sum"}
_PRODUCTS = {"mul", "div", "truediv", "multiply"}
IDENTITIES = {"dropout", "feature_dropout", "contiguous", "clone", "to", "adaptive_avg_pool2d"}
NORMS = {"batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm", "local_response_norm"}
CONVOLUTIONS = {"conv2d", "conv3d", "conv_transpose2d"}
LEARNED = {*CONVOLUTIONS, "linear", "conv1d", "matmul"}


@dataclass(frozen=True)
class Trait:
    """What is known of a value: its channel axis in four dimensions, and what made it, where rearranged."""

    made_by: str
    channel_axis: int | None
    nonlinearity: str | None
    non_negative: bool


def traits_of(values: Sequence[Value]) -> list[Trait]:
    """Judge every value of a forward pass, each from the values it was made of."""
    traits: list[Trait] = []
    convolved = [v for v in values if v.operation in CONVOLUTIONS and len(v.shape) == 4]
    resolutions: set[tuple[int, ...]] = {value.shape[2:] for value in convolved}
    for value in values:
        nonlinearity, non_negative = _sign(value, values, traits)
        rearranged = value.operation in REARRANGEMENTS and value.inputs
        made_by = traits[value.inputs[0]].made_by if rearranged else value.operation
        axis = _channel_axis(value, values, traits, resolutions)
        traits.append(Trait(made_by, axis, nonlinearity, non_negative))
    return traits


def _channel_axis(
    value: Value, values: Sequence[Value], traits: Sequence[Trait], resolutions: set[tuple[int, ...]]
) -> int | None:
    """Follow the channel axis of maps (B, N, H, W) through permutations; reshaped maps are told by size."""
    if len(value.shape) != 4:
        return None
    if value.operation in CONVOLUTIONS or not value.inputs:
        return 1
    before = next((i for i in value.inputs if len(values[i].shape) == 4), None)
    if before is None or value.operation in ("view", "reshape", "unknown", "unflatten"):
        return 1 if value.shape[2:] in resolutions else None
    axis = traits[before].channel_axis
    if axis is None:
        return 1 if value.shape[2:] in resolutions and value.operation not in LEARNED else None
    order = _axis_order(value)
    return order.index(axis) if order else axis


def _axis_order(value: Value) -> list[int]:
    """Return where the axes of a permuted value come from; empty where they stay."""
    args, kwargs = value.arguments
    if value.operation == "permute":
        dims = kwargs.get("dims", args[1:])
        flat = dims[0] if len(dims) == 1 else dims
        return [int(d) % 4 for d in flat]
    if value.operation in ("transpose", "swapaxes", "swapdims") and len(args) == 3:
        order = list(range(4))
        a, b = args[1] % 4, args[2] % 4
        order[a], order[b] = order[b], order[a]
        return order
    return []


def _sign(value: Value, values: Sequence[Value], traits: Sequence[Trait]) -> tuple[str | None, bool]:
    """Say which non-linearity stands behind a value, and whether it is non-negative by construction."""
    operation, known = value.operation, [traits[i] for i in value.inputs]
    if operation in _RECTIFIERS:
        return operation, True
    if operation in _SIGNED_NONLINEARITIES:
        return operation, False
    if operation in ("hardtanh", "clamp", "clamp_min", "threshold"):
        return _clipped(value)
    if operation in _PRODUCTS:
        return _product(value, values, traits)
    carries = operation in REARRANGEMENTS | _POOLS | _SUMS and len(known) == len(_tensors(value))
    if not carries or not known:
        return None, False
    names = [trait.nonlinearity for trait in known]
    non_negative = all(trait.non_negative for trait in known) and not _adds_negative(value)
    return (names[-1] if all(names) else None), non_negative


def _clipped(value: Value) -> tuple[str | None, bool]:
    args, kwargs = value.arguments
    low = kwargs.get("min_val", kwargs.get("min", args[1] if len(args) > 1 else -1.0))
    non_negative = isinstance(low, int | float) and low >= 0
    high = kwargs.get("max_val", kwargs.get("max", args[2] if len(args) > 2 else None))
    return ("relu6" if non_negative and high == 6 else value.operation), non_negative


def _tensors(value: Value) -> list[int]:
    """Return the tensors among the arguments, parameters (-1) too."""
    leaves = pytree.tree_leaves(value.arguments)
    return list(dict.fromkeys(leaf.index for leaf in leaves if isinstance(leaf, Reference)))


def _adds_negative(value: Value) -> bool:
    args, _ = value.arguments
    return value.operation == "add" and any(isinstance(a, int | float) and a < 0 for a in args)


def _product(value: Value, values: Sequence[Value], traits: Sequence[Trait]) -> tuple[str | None, bool]:
    """Judge x * factor and x * gate(...): a self-gated x is a non-linearity, another gate carries x's own."""
    if len(value.inputs) == 1:
        trait = traits[value.inputs[0]]
        factors = [a for a in value.arguments[0] if isinstance(a, int | float)]
        by_parameter = -1 in _tensors(value)
        return trait.nonlinearity, trait.non_negative and not by_parameter and all(f >= 0 for f in factors)
    if len(value.inputs) != 2:
        return None, False
    for x, gate in (value.inputs, value.inputs[::-1]):
        if kind := _gate_of(values, gate, x):
            return kind, False
    signal, other = (traits[i] for i in value.inputs)
    if signal.nonlinearity and other.nonlinearity:
        return signal.nonlinearity, signal.non_negative and other.non_negative
    return None, False


def _gate_of(values: Sequence[Value], gate: int, x: int) -> str | None:
    """Name the non-linearity x * gate(x), where the gate is made of x alone, position by position."""
    shape, kind = values[x].shape, None
    for _ in range(6):
        value = values[gate]
        if gate == x:
            return kind
        if value.shape != shape or len(value.inputs) != 1 or value.operation in LEARNED | NORMS:
            return None
        if value.operation in _GATES:
            kind = _SELF_GATED.get(value.operation, "hardswish")
        gate = value.inputs[0]
    return None
