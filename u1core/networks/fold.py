"""Batch normalisation folded into the convolution before it: one pass over memory less for each.

In evaluation mode both are affine, so W' = W g / sqrt(v + e) and b' = (b - m) g / sqrt(v + e) + beta give
the same values up to rounding (Jacob et al. 2018, arXiv 1712.05877, section 3.2).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from u1core.networks.trace import Value, numbered, record

TOLERANCE = 5e-4
"""Largest deviation allowed after folding, relative to a layer's root mean square: rounding makes 1e-5, up to
1e-4 in deep networks with random weights, folded or not; a wrong fold makes 1."""


def fold_batch_norms(network: nn.Module, kept: Sequence[str], size: int) -> int:
    """Fold, in place, every batch normalisation that alone reads the output of a convolution.

    Args:
        network: In evaluation mode, on any device.
        kept: Names of values that must stay what they are: what is tapped.
        size: Side of the pictures that the network is followed with.

    Returns:
        How many were folded.
    """
    modules = dict(network.named_modules())
    pairs = list(_pairs(_follow(network, size), modules, set(kept)))
    for convolution, norm in pairs:
        _fold(modules[convolution], modules[norm])
        parent, _, name = norm.rpartition(".")
        setattr(network.get_submodule(parent), name, _without_norm(modules[norm]))
    return len(pairs)


def deviation(before: dict[str, Tensor], after: dict[str, Tensor]) -> float:
    """Return the largest difference of two sets of layers, relative to each layer's root mean square."""
    worst = [
        (after[name] - old).abs().max() / old.square().mean().sqrt().clamp_min(1e-30)
        for name, old in before.items()
    ]
    return float(torch.stack(worst).max())  # unlike Python's, this max keeps a NaN


def _follow(network: nn.Module, size: int) -> list[Value]:
    """Record a pass of one picture; hardly any arithmetic is worth avoiding for it."""
    device = next(network.parameters()).device
    return record(network, torch.zeros(1, 3, size, size, device=device))


def _pairs(values: list[Value], modules: dict[str, nn.Module], kept: set[str]) -> Iterator[tuple[str, str]]:
    """Yield the paths of convolution and normalisation where nothing else reads the convolution."""
    readers = [0] * len(values)
    for value in values:
        for index in value.inputs:
            readers[index] += 1
    calls = [name for value in values for name in value.names]
    for value in values:
        if value.operation != "batch_norm" or len(value.inputs) != 1:
            continue
        source = values[value.inputs[0]]
        norm, convolution = _owner(value, modules, nn.BatchNorm2d), _owner(source, modules, nn.Conv2d)
        if norm and modules[norm].running_mean is None:  # it takes the statistics of the batch
            continue
        once = all(numbered({path: 1}, path) not in calls for path in (norm, convolution))
        if norm and convolution and once and readers[source.index] == 1 and not kept & set(source.names):
            yield convolution, norm


def _owner(value: Value, modules: dict[str, nn.Module], kind: type[nn.Module]) -> str:
    """Return the path of the module of a kind inside which a value was made; empty where there is none."""
    scope = value.names[0].rpartition(".")[0]
    return scope if isinstance(modules.get(scope), kind) else ""


def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    convolution.weight, convolution.bias = fuse_conv_bn_weights(
        convolution.weight,
        convolution.bias,
        norm.running_mean,  # type: ignore[arg-type]
        norm.running_var,  # type: ignore[arg-type]
        norm.eps,
        norm.weight,
        norm.bias,
    )


class _Rest(nn.Module):
    """What a layer of timm does behind its normalisation, under the same names."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.drop, self.act = norm.drop, norm.act

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.act(self.drop(x))  # type: ignore[operator]
        return output


def _without_norm(norm: nn.Module) -> nn.Module:
    return _Rest(norm) if hasattr(norm, "act") and hasattr(norm, "drop") else nn.Identity()
