"""Frames beside the coupled one and the null of the planes' agreement: one row per layer and frame.

Images are read again from the lake, a class or a few of them at a time, so that memory stays bounded. In
every frame a class's directions in the two planes come from different halves of its query images.
Shape legend: n images, N channels, K classes, F frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from u1core.cells.open_cell import OpenCell
from u1core.images.sources.listing import rank_within_class
from u1core.lake.schema import SCHEMAS
from u1core.lake.store import list_matrix
from u1core.measures import medial
from u1core.measures.frames import Frame, direction
from u1core.measures.planes import (
    SWAPS,
    TIE,
    Agreement,
    ClassMoments,
    LeaveOneOut,
    class_permutations,
    classes_to_test,
    cross,
    halves,
    nearest_on_circle,
    nearest_orthonormal,
    principal_plane,
    random_planes,
    resultants,
    turned,
)
from u1core.measures.sums import SPLITS

FRAMES = ("coupled", "loco", "within", "swapped", "random", "principal")

_NUMBERS = 2**25
"""Of float64 in memory at a time: 256 MB."""

PLANES = ("image", "feature")

_CELL_KEYS = ("cell_key", "dataset", "model", "variant")


class Block(NamedTuple):
    """Images of one split and layer that have a direction: labels, chroma (n, N), dipoles (n, 2), halves.

    Halves are those of the query split; 0 in memory.
    """

    label: np.ndarray
    chroma: np.ndarray
    dipole: np.ndarray
    half: np.ndarray

    def where(self, chosen: np.ndarray) -> Block:
        """Return some of the images, by flags (n,)."""
        return Block(*(values[chosen] for values in self))


@dataclass(frozen=True)
class LayerImages:
    """What the lake holds of one layer of an open cell, read as often as it is asked for."""

    opened: OpenCell
    layer: str

    def blocks(self, split: str) -> Iterator[Block]:
        """Yield the images of one split, in their order, part by part."""
        for part in self.opened.parts("records", layer=self.layer):  # rows of records and vectors correspond
            names = ["image_id", "split", "label", "dipole_x", "dipole_y"]
            records = self.opened.read("records", names, layer=self.layer, part=part)
            vectors = self.opened.read("vectors", ["pooled"], layer=self.layer, part=part)
            asked = records["split"].to_numpy(zero_copy_only=False) == split
            if asked.any():
                yield self._block(records, list_matrix(vectors["pooled"]), asked)

    def _block(self, records: pa.Table, pooled: np.ndarray, asked: np.ndarray) -> Block:
        dipole = np.stack([records["dipole_x"].to_numpy(), records["dipole_y"].to_numpy()], axis=1)[asked]
        chroma = medial.decompose(pooled[asked]).chroma
        valid = np.isfinite(dipole).all(axis=1) & np.isfinite(chroma).all(axis=1)
        label, image_id = (records[name].to_numpy()[asked] for name in ("label", "image_id"))
        return Block(label, chroma, dipole, self._half[image_id]).where(valid)

    @cached_property
    def _half(self) -> np.ndarray:
        """Which half of its class in the query split an image belongs to, by its id; 0 in memory."""
        images, positions = self.opened.images, self.opened.positions
        asked = positions[images.is_query[positions]]
        half = np.zeros(images.image_ids.max() + 1, dtype=np.int64)
        half[images.image_ids[asked]] = halves(rank_within_class(images.labels[asked]))
        return half

    @cached_property
    def classes(self) -> int:
        """How many classes the data set has."""
        return len(self.opened.images.class_names)

    def moments(self, split: str) -> list[ClassMoments]:
        """Return the moments of both halves of one split, class by class; in memory the second is empty."""
        totals: list[ClassMoments] = []
        for block in self.blocks(split):
            parts = [block.where(block.half == half) for half in (0, 1)]
            found = [ClassMoments.of(p.label, p.chroma, p.dipole, self.classes) for p in parts]
            totals = [a.merge(b) for a, b in zip(totals, found, strict=True)] if totals else found
        return totals

    def scatter(self, mean_chroma: np.ndarray) -> np.ndarray:
        """Return the scatter matrix (N, N) of the memory's chroma about its mean."""
        total = np.zeros((mean_chroma.size, mean_chroma.size))
        for block in self.blocks("memory"):
            total += (block.chroma - mean_chroma).T @ (block.chroma - mean_chroma)
        return total

    def by_class(self, counts: np.ndarray) -> Iterator[tuple[int, Block]]:
        """Yield the query images class by class; the split is read once per group of classes."""
        channels = next(self.blocks("query")).chroma.shape[1]
        group = (np.cumsum(counts) * channels) // _NUMBERS
        for number in np.unique(group[counts > 0]):
            labels = np.flatnonzero((group == number) & (counts > 0))
            parts = [block.where(np.isin(block.label, labels)) for block in self.blocks("query")]
            joined = Block(*(np.concatenate(values) for values in zip(*parts, strict=True)))
            for label in labels:
                yield int(label), joined.where(joined.label == label)


def compare_planes(opened: OpenCell, frames: Mapping[str, Frame]) -> None:
    """Write, for every layer and frame, how far the planes agree, what the null gives and theta's memory.

    Of the bottleneck also every class's directions in frames that were fitted without it.

    Args:
        opened: A cell whose records and vectors are in the lake.
        frames: The coupled frame of every layer.
    """
    rows: list[dict[str, Any]] = []
    for layer, frame in frames.items():
        compared, is_bottleneck = _compared(opened, layer, frame), layer == opened.model.bottleneck
        figures = _figures(compared, is_bottleneck)
        rows += [{"layer": layer, "frame": name, **figures[name]} for name in FRAMES]
        if compared and compared.loco and is_bottleneck:
            _write(opened, "loco_directions", compared.directions(compared.loco))
    _write(opened, "planes", rows)


def _write(opened: OpenCell, table: str, rows: list[dict[str, Any]]) -> None:
    names = [name for name in SCHEMAS[table].names if name not in _CELL_KEYS]
    opened.write(table, {name: [row.get(name) for row in rows] for name in names})


def _compared(opened: OpenCell, layer: str, frame: Frame) -> Comparison | None:
    """Compare one layer's frames; None where there is no coupled frame or no image to ask."""
    images = LayerImages(opened, layer)
    if frame.axes is None or not any(len(block.label) for block in images.blocks("query")):
        return None
    return Comparison(images, frame, frame.axes)


def _figures(compared: Comparison | None, is_bottleneck: bool) -> dict[str, dict[str, Any]]:
    """Return the figures of one layer by frame."""
    if compared is None:
        return {name: {} for name in FRAMES}
    figures = compared.figures()
    if is_bottleneck:
        for name, accuracies in compared.accuracies().items():
            figures[name] |= _spread("accuracy", accuracies)
    about = {
        "classes": int(compared.asked.sum()),
        "n_memory": int(compared.memory.count.sum()),
        "n_query": int(compared.counts.sum()),
    }
    return {name: about | figures[name] for name in FRAMES}


class Comparison:
    """One layer's frames and what they give.

    Args:
        images: Of the layer.
        frame: The coupled frame.
        axes: Its Q, (N, 2).

    Attributes:
        memory: Moments of the memory split, class by class.
        query: Those of both halves of the query split.
        counts: Images of both halves, (2, K).
        asked: Which classes have images in both, (K,).
        frames: (F, N, 2) of every kind but 'loco', which is fitted anew for every class.
        tested: Labels of the classes, where there are enough classes and images for a null, else none.
        swaps: Which dipoles class k has in every swapped frame, (F, K), of the classes tested.
        loco: The classes left out one by one, where they are tested.
    """

    def __init__(self, images: LayerImages, frame: Frame, axes: np.ndarray) -> None:
        self.images, self.frame = images, frame
        self.memory, self.query = images.moments("memory")[0], images.moments("query")
        self.counts: np.ndarray = np.stack([half.count for half in self.query])
        self.asked: np.ndarray = self.counts.min(axis=0) > 0
        self.tested = classes_to_test(self.memory.count, self.counts)
        self.swaps = class_permutations(len(self.tested), SWAPS)[1:]
        self.frames = self._fitted(axes)
        self.loco = self._left_out() if len(self.tested) else None

    def _fitted(self, axes: np.ndarray) -> dict[str, np.ndarray]:
        """Return the frames, (F, N, 2) by their kind."""
        memory, channels = self.memory, self.frame.mean_chroma.size
        coupled = memory.within + memory.between(np.arange(len(memory.count))[None])[0]
        fitted = {"coupled": axes[None], "within": nearest_orthonormal(memory.within[None])}
        if len(self.tested):
            fitted["swapped"] = nearest_orthonormal(memory.keep(self.tested).between(self.swaps))
        principal = principal_plane(self.images.scatter(self.frame.mean_chroma))
        fitted["random"] = turned(random_planes(channels), coupled)
        fitted["principal"] = turned(principal[None], coupled)
        return fitted

    def _left_out(self) -> LeaveOneOut:
        memory, *query = (moments.keep(self.tested) for moments in (self.memory, *self.query))
        return LeaveOneOut(memory, query, class_permutations(len(self.tested)))

    def figures(self) -> dict[str, dict[str, Any]]:
        """Return agreement, joint effect and their nulls, by frame; nothing where no class has two images."""
        image, feature = self._resultants()
        found = {name: cross(image[:, self.asked], r[..., self.asked]) for name, r in feature.items()}
        figures: dict[str, dict[str, Any]] = {"loco": {}, "swapped": {}}
        if self.loco:
            of_tested = image[:, self.tested]
            found["swapped"] = cross(of_tested[:, self.swaps], feature["swapped"][..., self.tested])
            found["loco"] = Agreement(*(values[:1] for values in self.loco.result()))
        for name, values in found.items():
            figures[name] = {"fits": len(values.joint)}
            if self.asked.any():
                figures[name] |= _spread("agreement", values.agreement)
                figures[name] |= _spread("joint_effect", values.joint)
        if self.loco:
            moved = np.stack([r[order] for r, order in zip(of_tested, self.loco.positions, strict=True)])
            within = cross(moved, feature["within"][..., self.tested])
            errors = self.loco.standard_errors()
            figures["loco"] |= {"agreement_se": errors.agreement, "joint_effect_se": errors.joint}
            figures["loco"] |= _null(self.loco.result())
            figures["within"] |= _null(within)
            figures["coupled"] |= _null(
                Agreement(*map(np.concatenate, zip(found["coupled"], found["swapped"], strict=True)))
            )
        return figures

    def directions(self, loco: LeaveOneOut) -> list[dict[str, Any]]:
        """Return either half's resultants of every class left out, a row each."""
        names = self.images.opened.images.class_names
        return [
            {
                "layer": self.images.layer,
                "label": int(label),
                "class_name": names[label],
                "half": half,
                "n": int(self.counts[half, label]),
                **{f"resultant_{plane}_x": r[half].real for plane, r in zip(PLANES, of_class, strict=True)},
                **{f"resultant_{plane}_y": r[half].imag for plane, r in zip(PLANES, of_class, strict=True)},
            }
            for label, of_class in zip(self.tested, loco.observed.values(), strict=True)
            for half in (0, 1)
        ]

    def _resultants(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return r_image (2, K) of both halves and r_feature (2, F, K) by kind; ask every class left out."""
        stacked = np.concatenate(list(self.frames.values()))
        classes = self.counts.shape[1]
        image, feature = np.zeros((2, classes), complex), np.zeros((2, len(stacked), classes), complex)
        for label, block in self.images.by_class(self.counts.sum(axis=0)):
            shifted, points = block.dipole - self.frame.mean_dipole, self._points(stacked, block.chroma)
            for half in (0, 1):
                image[half, label] = resultants(shifted[block.half == half, None])[0]
                feature[half, :, label] = resultants(points[block.half == half])
            if self.loco:
                asked = int(np.searchsorted(self.tested, label))
                self.loco.add(asked, block.chroma, block.dipole, block.half)
        ends = np.cumsum([len(frames) for frames in self.frames.values()])[:-1]
        return image, dict(zip(self.frames, np.split(feature, ends, axis=1), strict=True))

    def _points(self, frames: np.ndarray, chroma: np.ndarray) -> np.ndarray:
        """Return the points (n, F, 2) of images in frames (F, N, 2)."""
        flat = frames.transpose(1, 0, 2).reshape(len(frames[0]), -1)
        points: np.ndarray = ((chroma - self.frame.mean_chroma) @ flat).reshape(len(chroma), -1, 2)
        return points

    def accuracies(self) -> dict[str, np.ndarray]:
        """Return how often the memory image nearest by theta names the class, (F,) by kind."""
        labels = [np.concatenate([b.label for b in self.images.blocks(s)]) for s in SPLITS]
        step = max(1, _NUMBERS // max(map(len, labels)))
        found = {}
        for name, frames in self.frames.items():
            parts = [self._accuracies(frames[i : i + step], *labels) for i in range(0, len(frames), step)]
            found[name] = np.concatenate(parts)
        return found

    def _accuracies(self, frames: np.ndarray, stored: np.ndarray, asked: np.ndarray) -> np.ndarray:
        angles = [
            np.concatenate(
                [self._angles(frames, block.chroma) for block in self.images.blocks(split)], axis=1
            )
            for split in SPLITS
        ]
        return np.array(
            [(stored[nearest_on_circle(q, m)] == asked).mean() for m, q in zip(*angles, strict=True)]
        )

    def _angles(self, frames: np.ndarray, chroma: np.ndarray) -> np.ndarray:
        """Return theta in every frame, (F, n)."""
        points = self._points(frames, chroma)
        angles: np.ndarray = direction(points.reshape(-1, 2))[0].reshape(len(chroma), -1).T
        return angles


def _spread(name: str, values: np.ndarray) -> dict[str, float | None]:
    """Return the median over fits, and where there are several the 5 and 95 % quantiles."""
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
    spread = {f"{name}_low": float(low), f"{name}_high": float(high)} if len(values) > 1 else {}
    return {name: float(middle), **spread}


def _null(draws: Agreement) -> dict[str, Any]:
    """Return p and quantiles of A and J, (D,) each, the first of them what is observed."""
    told: dict[str, Any] = {"draws": len(draws.joint)}
    for name, values in (("agreement", draws.agreement), ("joint_effect", draws.joint)):
        low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
        told |= {f"{name}_p": float((values >= values[0] - TIE).mean())}
        told |= {
            f"null_{name}_low": float(low),
            f"null_{name}_median": float(middle),
            f"null_{name}_high": float(high),
        }
    return told
