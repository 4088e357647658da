"""What a network returns: logits, alone or among other things.

Shapes: B images, K classes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from u1core.common.errors import U1Error


def named_tensors(output: object, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield every tensor in tuples, mappings and objects with fields, by its dotted name.

    Example:
        >>> [name for name, _ in named_tensors({"logits": torch.ones(2, 3), "aux": (torch.ones(2), None)})]
        ['logits', 'aux.0']
    """
    if isinstance(output, Tensor):
        yield name, output
        return
    for field, part in _parts(output):
        yield from named_tensors(part, f"{name}.{field}" if name else str(field))


def _parts(output: object) -> Iterator[tuple[object, object]]:
    if isinstance(output, Mapping):
        yield from output.items()
    elif isinstance(output, tuple) and hasattr(output, "_fields"):
        yield from zip(output._fields, output, strict=True)
    elif isinstance(output, list | tuple):
        yield from enumerate(output)
    elif dataclasses.is_dataclass(output):
        yield from ((field.name, getattr(output, field.name)) for field in dataclasses.fields(output))


def logits_among(output: object, images: int) -> list[Tensor]:
    """Return what may be logits (B, K): what is called so, else every tensor of that shape."""
    named = list(named_tensors(output))
    called = [tensor for name, tensor in named if name.rpartition(".")[2] == "logits"]
    return [t for t in called or [t for _, t in named] if _has_shape(t, images)]


def _has_shape(tensor: Tensor, images: int) -> bool:
    return tensor.ndim == 2 and len(tensor) == images and tensor.is_floating_point()


def logits_of(output: object, images: int) -> Tensor:
    """Return the logits (B, K) of what a network returns.

    Args:
        output: The tensor itself, or tuples, mappings and dataclasses in which one is called 'logits', or in
            which there is one of that shape.
        images: B.

    Raises:
        U1Error: There is none, or it is not clear which they are.
    """
    found = logits_among(output, images)
    if len(found) != 1:
        todo = "return the logits alone, or name the value that holds them as the entry's `head`"
        raise U1Error(f"one tensor of logits ({images}, K), or one called 'logits'", _told(output), todo)
    return found[0]


def _told(output: object) -> str:
    """Say in a few words what came."""
    shown = [f"{name} {tuple(tensor.shape)}".strip() for name, tensor in named_tensors(output)]
    more = ", ..." if len(shown) > 6 else ""
    return f"{type(output).__name__}: {', '.join(shown[:6])}{more}" if shown else f"a {type(output).__name__}"


def class_of(scores: Tensor) -> Tensor:
    """Return the class with the largest score (B, K), (B,); -1 where the largest is no finite number.

    Example:
        >>> class_of(torch.tensor([[0.0, 2.0], [torch.nan, 1.0], [-torch.inf, 0.0]])).tolist()
        [1, -1, 1]
    """
    largest, label = scores.max(dim=1)  # a NaN is larger than any number
    return torch.where(largest.isfinite(), label, -1)
