"""Batch norms of a changed network: re-estimated on what it sees, or moved by what the change alone moves.

Every norm takes mean and variance of its own input over some pictures, all earlier norms having done so
before: the pictures pass once, all together, and each norm is given its statistics just before it runs. So
nothing hangs on a batch size. The pictures are part of the memory split, see `pictures_for`; they are not
augmented as in training, which re-estimated norms can tell (docs/method.md, 'Which pictures the norms knew').
Norms that are moved keep what training taught them: of the same pictures through the network as it was built
and as it is changed, only the difference is theirs.
Shapes: M pictures of 3 x H x W, N channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial

import torch
from torch import Tensor, nn

from u1core.common.errors import U1Error
from u1core.networks.trace import record

MOST_PICTURES = 2048
"""Pictures of the memory split, class-balanced: a mean of them is 2 % of a standard deviation wide."""

LARGEST_MAP_BYTES = 2**30
"""What the largest value of the network may take for all of them at once; about four such are alive together.
At 224 px that leaves 334 pictures to a ResNet-50 and 83 to a VGG-16, on every machine the same."""

_GROUP = 64
"""Pictures whose values are float64 at a time."""

Moments = Mapping[str, tuple[Tensor, Tensor]]
Act = Callable[[str, nn.Module, Tensor, Tensor], None]


def pictures_for(network: nn.Module, size: int) -> int:
    """Return how many pictures a network is re-estimated over: it depends on nothing but their sizes.

    Args:
        network: In evaluation mode.
        size: Side of the pictures, px.
    """
    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    values = record(network, torch.zeros(1, 3, size, size, device=device))
    largest = 4 * max(math.prod(value.shape) for value in values)
    return max(2, min(MOST_PICTURES, LARGEST_MAP_BYTES // largest))


def batch_norms(network: nn.Module) -> dict[str, nn.Module]:
    """Return the modules that normalise with kept statistics, frozen ones too, by path."""
    return {
        path: module
        for path, module in network.named_modules()
        if isinstance(getattr(module, "running_mean", None), Tensor)
        and isinstance(getattr(module, "running_var", None), Tensor)
    }


def reestimate(network: nn.Module, pictures: Tensor, of: str) -> int:
    """Re-estimate, in place, every batch norm that a forward pass comes by.

    Args:
        network: In evaluation mode, norms not yet folded.
        pictures: The network's input, (M, 3, H, W).
        of: What the network is called in messages.

    Returns:
        How many norms there are.

    Raises:
        U1Error: A norm runs twice, so that it has two inputs to be the statistics of; or one is not finite.
    """

    def take(_: str, norm: nn.Module, mean: Tensor, variance: Tensor) -> None:
        norm.running_mean.copy_(mean)  # type: ignore[operator]
        norm.running_var.copy_(variance)  # type: ignore[operator]

    return len(_observed(network, pictures, of, take))


def observe(network: nn.Module, pictures: Tensor, of: str) -> Moments:
    """Return mean and variance of every batch norm's input, (N,) each, by path; nothing is changed.

    Args:
        network: In evaluation mode, norms not yet folded.
        pictures: The network's input, (M, 3, H, W).
        of: What the network is called in messages.

    Raises:
        U1Error: As in `reestimate`.
    """
    return _observed(network, pictures, of, lambda *_: None)


def move(network: nn.Module, pictures: Tensor, of: str, before: Moments) -> int:
    """Move, in place, every batch norm by what a change of the network moved in its input.

    To each stored mean the difference of the two means is added, each stored variance is multiplied by the
    ratio of the two. Where nothing changed the network stays as it is, to the last bit.

    Args:
        network: As it is changed, norms as stored and not yet folded.
        pictures: Those that `before` is of.
        of: What the network is called in messages.
        before: From `observe`, of the network as it was built.

    Returns:
        How many norms there are.

    Raises:
        U1Error: As in `reestimate`.
    """

    def shift(path: str, norm: nn.Module, mean: Tensor, variance: Tensor) -> None:
        old_mean, old_variance = before[path]
        stored_mean, stored_variance = norm.running_mean, norm.running_var
        ratio = torch.where(old_variance > 0, variance / old_variance, 1.0)
        stored_mean.add_((mean - old_mean).to(stored_mean))  # type: ignore[operator, arg-type]
        stored_variance.mul_(ratio.to(stored_variance))  # type: ignore[operator, arg-type]

    return len(_observed(network, pictures, of, shift))


def _observed(network: nn.Module, pictures: Tensor, of: str, act: Act) -> Moments:
    """Pass pictures once; tell each norm, before it runs, what it is about to see."""
    seen: dict[str, tuple[Tensor, Tensor]] = {}

    def look(path: str, norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if path in seen:
            raise U1Error(
                f"batch norms of {of} that run once each", f"{path} runs again", "leave the variant out"
            )
        mean, variance = seen[path] = moments(inputs[0])
        if not bool(torch.isfinite(mean + variance).all()):
            got = f"values that are not finite before {path}"
            raise U1Error(f"statistics of the batch norms of {of}", got, "leave the variant out")
        act(path, norm, mean, variance)

    norms = batch_norms(network)
    if norms:
        with ExitStack() as hooks, torch.inference_mode():
            for path, norm in norms.items():
                hooks.callback(norm.register_forward_pre_hook(partial(look, path)).remove)
            network(pictures)
    return seen


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of every channel of x (M, N, ...) in float64, (N,) each.

    The variance is the pictures' own (divided by their number), with which a norm makes them exactly unit.
    Groups are joined pairwise as in Chan, Golub and LeVeque (1983), The American Statistician 37, 242-247:
    no sum of squares whose difference would be lost.
    """
    zero = torch.zeros((), dtype=torch.float64, device=x.device)
    count, mean, spread = 0, zero, zero
    for values in _groups(x):
        n = values.shape[1]
        of_group = values.mean(1)
        step = of_group - mean
        mean = of_group if not count else mean + step * (n / (count + n))
        spread = (
            spread + (values - of_group[:, None]).square().sum(1) + step.square() * (count * n / (count + n))
        )
        count += n
    return mean, spread / count


def _groups(x: Tensor) -> Iterator[Tensor]:
    """Yield (N, values) in float64, some pictures at a time."""
    for start in range(0, len(x), _GROUP):
        yield x[start : start + _GROUP].transpose(0, 1).flatten(1).double()
