"""What a network must show before any cell of it begins: finite numbers, the same twice, alone as in a batch.

Two pictures of noise pass once with every layer copied as it is made, once as a cell runs them, and the
second of them alone. Shapes: B images, N channels, H x W positions, K classes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from u1core.catalog.entries import ModelEntry
from u1core.common.errors import U1Error
from u1core.common.runtime import arithmetic, is_out_of_memory
from u1core.networks.build import seeded
from u1core.networks.identity import identity_of
from u1core.networks.preprocess import preprocessing_of
from u1core.networks.resolve import describe_path
from u1core.networks.taps import Taps
from u1core.networks.trace import Arguments, Follower

TOLERANCE = 1e-3
"""Largest difference between a picture's values alone and in a batch, as a share of their norm: rounding
makes 1e-6, 1e-4 in deep networks with random weights; statistics of the batch make more than 1e-1."""

_proven: dict[Hashable, int | None] = {}


def prove(
    network: nn.Module,
    entry: ModelEntry,
    head: str | None = None,
    *,
    trained: bool = True,
    is_changed: bool = False,
) -> int | None:
    """Prove a network once for its entry, its head and this process.

    Args:
        network: In evaluation mode, on any device.
        entry: Resolved.
        head: As for `Taps`: the logits are proven where they are asked for.
        trained: Whether its weights are the entry's.
        is_changed: Whether it is another network than its entry says: then it is proven each time.

    Returns:
        K; None where no logits are asked for.

    Raises:
        U1Error: It has no logits, or its values are of another shape than traced, not finite, drawn at
            random, overwritten, or dependent on the rest of the batch; what makes them so is named.
    """
    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    key = (json.dumps(identity_of(entry), sort_keys=True), head, trained, str(device))
    if key not in _proven or is_changed:
        shapes = {layer.path: (layer.channels, layer.height, layer.width) for layer in describe_path(entry)}
        classes = prove_layers(network, shapes, preprocessing_of(entry).size, head, of=entry.id)
        if is_changed:
            return classes
        _proven[key] = classes
    return _proven[key]


def prove_layers(
    network: nn.Module, shapes: Mapping[str, tuple[int, int, int]], size: int, head: str | None, *, of: str
) -> int | None:
    """Prove a network as `prove` does.

    Args:
        network: In evaluation mode, on any device.
        shapes: N, H and W of its layers, by name.
        size: Side of the pictures, px.
        head: As for `Taps`.
        of: What the network is called in messages.
    """
    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    pictures = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1)).to(device)
    with seeded(0), arithmetic(str(device), "float32"):
        try:
            return _Trial(network, shapes, head, pictures, of).judge()
        except U1Error:
            raise
        except Exception as error:  # a network may fail in any way
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
            if is_out_of_memory(error):
                todo = "free memory there, or choose another --device"
                raise U1Error(f"memory for two images of {of} on {device}", reason, todo) from error
            todo = "correct its code, or its preprocessing"
            raise U1Error(
                f"{of} to run on one picture 3 x {size} x {size} and on two", reason, todo
            ) from error


class _Trial:
    """The passes of a network and what they show."""

    def __init__(
        self,
        network: nn.Module,
        shapes: Mapping[str, tuple[int, int, int]],
        head: str | None,
        pictures: Tensor,
        of: str,
    ) -> None:
        self.network, self.shapes, self.pictures, self.of = network, shapes, pictures, of
        self.taps = Taps(network, list(shapes), head)
        self.copying = Taps(network, list(shapes), head, copied=True)

    def judge(self) -> int | None:
        """Return the head's K, None where no logits are asked for."""
        before = _random_state(self.pictures)
        made = self.copying(self.pictures.clone())
        is_drawn = _random_state(self.pictures) != before
        kept = self.taps(self.pictures.clone())
        self._check(made, self._misshapen, "maps of the shape that was traced", "name other layers")
        self._check(made, _not_finite, "finite values", "check its weights")
        if (is_drawn or _differing(made, kept)) and (error := self._unsteady(kept)):
            raise error
        alone = self.taps(self.pictures[1:].clone())
        if names := [name for name in made if is_far(alone[name][0], made[name][1])]:
            wanted = "values that do not hang on the rest of the batch"
            todo = "put it into evaluation mode, with statistics of its own"
            raise self._refused(wanted, names, self._companion(), todo)
        return made["head"].shape[1] if "head" in made else None

    def _check(
        self, values: dict[str, Tensor], is_wrong: Callable[[str, Tensor], str], wanted: str, todo: str
    ) -> None:
        for name, tensor in values.items():
            if got := is_wrong(name, tensor):
                raise self._refused(wanted, [name], got, todo)

    def _refused(self, wanted: str, names: list[str], got: str, todo: str) -> U1Error:
        shown = ", ".join("logits" if name == "head" else name for name in names)
        return U1Error(f"{self.of} to give {wanted}", f"{shown}: {got}", todo)

    def _misshapen(self, name: str, tensor: Tensor) -> str:
        if name == "head":
            right = tensor.ndim == 2 and len(tensor) == 2
        else:
            channels, *size = self.shapes[name]
            right = tensor.shape in ((2, channels, *size), (2, channels)) and (
                tensor.ndim == 4 or size == [1, 1]
            )
        return "" if right else f"{tuple(tensor.shape)} for 2 pictures"

    def _unsteady(self, kept: dict[str, Tensor]) -> U1Error | None:
        """Tell what is drawn at random from what is overwritten; None where another thread drew."""
        first, second = self._witnessed(self.pictures), self._witnessed(self.pictures)
        pairs = zip(first.seen, second.seen, strict=False)
        drawn = first.drew or next((name for (name, a), (_, b) in pairs if _differ(a, b)), "")
        names = _differing(kept, self.taps(self.pictures.clone()))
        if drawn or names:
            got, todo = f"drawn anew by {drawn or 'it'}", "leave random numbers out of evaluation mode"
            return self._refused("the same values twice", names or list(kept), got, todo)
        if names := _differing(kept, self.copying(self.pictures.clone())):
            got, todo = "overwritten by what works in place", "name the value behind that in `layers`"
            return self._refused("layers that last", names, got, todo)
        return None

    def _companion(self) -> str:
        """Name the first value that is another one alone."""
        both, alone = self._witnessed(self.pictures), self._witnessed(self.pictures[1:])
        for (name, ours), (_, theirs) in zip(both.seen, alone.seen, strict=False):
            if ours.ndim and len(ours) == 2 and len(theirs) == 1:
                ours, theirs = ours[1], theirs[0]
            if ours.shape != theirs.shape or is_far(theirs, ours):
                return f"others alone than in a batch, from {name} on"
        return "others alone than in a batch"

    def _witnessed(self, pictures: Tensor) -> _Witness:
        witness = _Witness(self.network, pictures)
        with witness:
            self.network(pictures.clone())
        return witness


class _Witness(Follower):
    """Keeps what every function and module returns, and the name of the first that draws random numbers."""

    def __init__(self, network: nn.Module, pictures: Tensor) -> None:
        super().__init__(network)
        self.seen: list[tuple[str, Tensor]] = []
        self.drew = ""
        self._pictures, self._state = pictures, _random_state(pictures)

    def on_function(self, name: str, operation: str, arguments: Arguments, result: object) -> None:
        self.on_module(name, arguments, result)

    def on_module(self, name: str, inputs: object, output: object) -> None:
        if not self.drew and _random_state(self._pictures) != self._state:
            self.drew = name
        tensors = (t for t in pytree.tree_leaves(output) if isinstance(t, Tensor))
        self.seen += [(name, t.clone()) for t in tensors if t.is_floating_point()]


def deviation(values: Tensor, others: Tensor) -> float:
    """Return the norm of a difference as a share of the others' norm; 0 where there is no difference."""
    difference = (values.double() - others.double()).norm()
    return float(difference / others.double().norm()) if difference != 0 else 0.0


def is_far(values: Tensor, others: Tensor) -> bool:
    """Tell whether values differ by more than rounding; a NaN on one side is far, too."""
    return not deviation(values, others) <= TOLERANCE


def _differ(values: Tensor, others: Tensor) -> bool:
    """Tell whether a second pass gave other values: on a CPU other bits, beside it more than rounding."""
    if values.shape != others.shape:
        return True
    return not torch.equal(values, others) if values.device.type == "cpu" else is_far(values, others)


def _differing(values: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> list[str]:
    return [name for name, tensor in values.items() if _differ(tensor, others[name])]


def _not_finite(name: str, tensor: Tensor) -> str:
    share = 1 - float(tensor.isfinite().double().mean())
    return f"{share:.0%} are not finite" if share else ""


def _random_state(pictures: Tensor) -> tuple[bytes, bytes]:
    """Return where the global random numbers of torch stand, on the CPU and on the pictures' GPU."""
    on_gpu = torch.cuda.get_rng_state(pictures.device).numpy() if pictures.is_cuda else ()
    return bytes(torch.random.get_rng_state().numpy()), bytes(on_gpu)
