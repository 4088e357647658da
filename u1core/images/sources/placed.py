"""Real objects at places that no photographer chose: each at a uniformly random place on stationary texture.

An object is pasted anywhere on the torus of the picture, wrapped where it meets an edge, on a texture whose
law does not change when it is rolled. So the law of the whole picture doesn't: every pixel is as likely as
any other to show any part of an object, of whatever class. What is concentrated about the optical axis in
such pictures was put there by the network. Every object comes twice, small and large, at two places.
`docs/method.md` has the rivals of these choices.

Shapes: n pictures of S x S pixels, K objects of h x h.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from u1core.catalog.entries import DatasetEntry
from u1core.images.draws import random_phases
from u1core.images.sources.listing import Decoded, Labels, Pixels, SourceError, rank_within_class

Reals = npt.NDArray[np.float64]

DRAWN = "digits"
"""The kind whose grey values say how much ink there is; pictures of the other are cut out along an edge."""


class Places(NamedTuple):
    """Where the object of every picture lies, in half images, x right, y up; (n,) each."""

    x: Reals
    y: Reals
    radius: Reals


@dataclass(frozen=True)
class _Plan:
    """What is drawn of every picture of one split before any is painted; (n,) each."""

    rank: Labels
    side: Labels
    left: Labels
    top: Labels


def objects_entry(entry: DatasetEntry, source: str) -> DatasetEntry:
    """Name the data set that a source of a 'placed' entry gives its objects from."""
    kind = DRAWN if source.startswith("sklearn:") else "fashion_mnist"
    return replace(entry, id=kind, kind=kind, options={})


def place(entry: DatasetEntry, objects: Decoded, *, is_drawn: bool) -> Decoded:
    """Paste objects of the memory split into memory pictures, those of the query split into query ones.

    Args:
        entry: A data set of kind 'placed'; its options are described in catalog/catalog.toml.
        objects: Grey pictures on black, (K, h, h, 1).
        is_drawn: Whether grey is how much of the place they cover; else they cover whatever is not black.

    Raises:
        SourceError: A class has no object in a split.
    """
    if objects.pixels is None:
        raise SourceError("objects that stay in their files, which are not placed")
    greys = objects.pixels[..., 0] / 255.0
    cover = greys if is_drawn else (greys > 0).astype(np.float64)
    splits = [
        _paint(entry, number, greys[chosen], cover[chosen], objects.labels[chosen])
        for number, chosen in enumerate((~objects.is_query, objects.is_query))
    ]
    labels = np.concatenate([labels for _, labels in splits])
    is_query = np.repeat([False, True], [len(labels) for _, labels in splits])
    pixels = np.concatenate([pixels for pixels, _ in splits])
    return Decoded(pixels, labels, is_query, np.arange(len(labels)), entry.class_names)


def places_of(entry: DatasetEntry) -> Places | None:
    """Tell where the object of every picture lies, by image id; None for data sets of other kinds.

    The radius is half the object's side. It lies in the picture in one piece where |x| + radius and |y| +
    radius are at most 1.
    """
    if entry.kind != "placed":
        return None
    size = int(entry.options["size"])
    plans = [_plan(entry, number, rng=_generator(entry, number)) for number in (0, 1)]
    side, left, top = (np.concatenate([getattr(p, name) for p in plans]) for name in ("side", "left", "top"))
    x, y = ((2 * (corner + side / 2) / size) % 2 - 1 for corner in (left, top))
    return Places(x, np.where(y == -1, -1, -y), side / size)


def _generator(entry: DatasetEntry, number: int) -> np.random.Generator:
    return np.random.default_rng([int(entry.options["seed"]), number])


def _plan(entry: DatasetEntry, number: int, rng: np.random.Generator) -> _Plan:
    """Plan a split: classes take turns, and within a class small and large; places know of neither."""
    n = int((entry.images_memory, entry.images_query)[number] or 0)
    rank = np.arange(n) // len(entry.class_names)
    sides = np.array([entry.options["side_small"], entry.options["side_large"]], dtype=np.int64)
    left, top = rng.integers(int(entry.options["size"]), size=(2, n))
    return _Plan(rank, sides[rank % 2], left, top)


def _paint(
    entry: DatasetEntry, number: int, greys: Reals, cover: Reals, given: Labels
) -> tuple[Pixels, Labels]:
    """Paint a split with objects of the labels `given`, (K,): pictures (n, S, S, 1) and their labels (n,)."""
    rng, size = _generator(entry, number), int(entry.options["size"])
    plan = _plan(entry, number, rng)
    labels = np.arange(len(plan.rank)) % len(entry.class_names)
    pictures = np.array([_texture(entry, rng) for _ in labels])
    for row, which in enumerate(_objects_in_turn(given, labels, plan.rank // 2)):
        along = np.arange(plan.side[row])
        scale = _resampling(greys.shape[1], len(along))
        window = np.ix_((plan.top[row] + along) % size, (plan.left[row] + along) % size)
        around = 1.0 - scale @ cover[which] @ scale.T
        pictures[row][window] *= around
        pictures[row][window] += 255.0 * (scale @ greys[which] @ scale.T)
    return np.clip(np.rint(pictures), 0, 255).astype(np.uint8)[..., None], labels


def _objects_in_turn(given: Labels, labels: Labels, turn: Labels) -> Labels:
    """Return the object of its class whose turn it is for every picture, (n,), of those labelled `given`."""
    count = np.bincount(given, minlength=labels.max() + 1)
    if not count[np.unique(labels)].all():
        raise SourceError(f"no object of class {int(np.argmin(count))} to place")
    order = np.lexsort((rank_within_class(given), given))
    first = np.concatenate([[0], np.cumsum(count)[:-1]])
    chosen: Labels = order[first[labels] + turn % count[labels]]
    return chosen


def _texture(entry: DatasetEntry, rng: np.random.Generator) -> Reals:
    """Draw a texture (S, S): amplitudes 1/|k| as in photographs (Field 1987), random phases."""
    size = int(entry.options["size"])
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size)))
    amplitude = np.divide(1.0, frequency, out=np.zeros_like(frequency), where=frequency > 0)
    amplitude *= float(entry.options["spread"]) * size**2 / np.linalg.norm(amplitude)
    return float(entry.options["background"]) + np.fft.ifft2(amplitude * random_phases(rng, size)).real


def _resampling(old: int, new: int) -> Reals:
    """Return weights (new, old) that resample a side: linear between pixels, an average where it shrinks."""
    centres = (np.arange(new) + 0.5) * old / new
    distance = np.abs(np.arange(old) + 0.5 - centres[:, None])
    weights = np.maximum(0.0, 1.0 - distance / max(old / new, 1.0))
    rows: Reals = weights / weights.sum(axis=1, keepdims=True)
    return rows
