"""Frames beside the coupled one and the null of the planes' agreement: one row per layer and frame.

Images are read again from the lake, a class or a few of them at a time, so that memory stays bounded.
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
    agree,
    class_permutations,
    classes_to_test,
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

_CELL_KEYS = ("cell_key", "dataset", "model", "variant")


class Block(NamedTuple):
    """Images of one split and layer that have a direction: labels (n,), chroma (n, N), dipoles (n, 2)."""

    label: np.ndarray
    chroma: np.ndarray
    dipole: np.ndarray


@dataclass(frozen=True)
class LayerImages:
    """What the lake holds of one layer of an open cell, read as often as it is asked for."""

    opened: OpenCell
    layer: str

    def blocks(self, split: str) -> Iterator[Block]:
        """Yield the images of one split, in their order, part by part."""
        for part in self.opened.parts("records", layer=self.layer):  # rows of records and vectors correspond
            names = ["split", "label", "dipole_x", "dipole_y"]
            records = self.opened.read("records", names, layer=self.layer, part=part)
            vectors = self.opened.read("vectors", ["pooled"], layer=self.layer, part=part)
            asked = records["split"].to_numpy(zero_copy_only=False) == split
            if asked.any():
                yield self._block(records, list_matrix(vectors["pooled"]), asked)

    @staticmethod
    def _block(records: pa.Table, pooled: np.ndarray, asked: np.ndarray) -> Block:
        dipole = np.stack([records["dipole_x"].to_numpy(), records["dipole_y"].to_numpy()], axis=1)[asked]
        chroma = medial.decompose(pooled[asked]).chroma
        valid = np.isfinite(dipole).all(axis=1) & np.isfinite(chroma).all(axis=1)
        return Block(records["label"].to_numpy()[asked][valid], chroma[valid], dipole[valid])

    @cached_property
    def classes(self) -> int:
        """How many classes the data set has."""
        return len(self.opened.images.class_names)

    def moments(self, split: str) -> ClassMoments:
        """Return the moments of one split, class by class."""
        found = [ClassMoments.of(*block, self.classes) for block in self.blocks(split)]
        total = found[0]
        for part in found[1:]:
            total = total.merge(part)
        return total

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
            parts = [Block(*(v[np.isin(b.label, labels)] for v in b)) for b in self.blocks("query")]
            joined = Block(*(np.concatenate(values) for values in zip(*parts, strict=True)))
            for label in labels:
                yield int(label), Block(*(values[joined.label == label] for values in joined))


def compare_planes(opened: OpenCell, frames: Mapping[str, Frame]) -> None:
    """Write, for every layer and frame, how far the planes agree, what the null gives and theta's memory.

    Args:
        opened: A cell whose records and vectors are in the lake.
        frames: The coupled frame of every layer.
    """
    rows = [
        {"layer": layer, "frame": name, **figures}
        for layer, frame in frames.items()
        for name, figures in _figures(opened, layer, frame).items()
    ]
    columns = {name: [row.get(name) for row in rows] for name in SCHEMAS["planes"].names}
    opened.write("planes", {name: column for name, column in columns.items() if name not in _CELL_KEYS})


def _figures(opened: OpenCell, layer: str, frame: Frame) -> dict[str, dict[str, Any]]:
    """Return the figures of one layer by frame; none where there is no coupled frame or no image to ask."""
    images = LayerImages(opened, layer)
    if frame.axes is None or not any(len(block.label) for block in images.blocks("query")):
        return {name: {} for name in FRAMES}
    compared = Comparison(images, frame, frame.axes)
    figures = compared.figures()
    if layer == opened.model.bottleneck:
        for name, accuracies in compared.accuracies().items():
            figures[name] |= _spread("accuracy", accuracies)
    about = {
        "classes": int((compared.query.count > 0).sum()),
        "n_memory": int(compared.memory.count.sum()),
        "n_query": int(compared.query.count.sum()),
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
        query: Those of the query split.
        frames: (F, N, 2) of every kind but 'loco', which is fitted anew for every class.
        tested: Labels of the classes, where there are enough classes and images for a null, else none.
        swaps: Which dipoles class k has in every swapped frame, (F, K), of the classes tested.
    """

    def __init__(self, images: LayerImages, frame: Frame, axes: np.ndarray) -> None:
        self.images, self.frame = images, frame
        self.memory, self.query = images.moments("memory"), images.moments("query")
        self.tested = classes_to_test(self.memory.count, self.query.count)
        self.swaps = class_permutations(len(self.tested), SWAPS)[1:]
        self.frames = self._fitted(axes)

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

    def figures(self) -> dict[str, dict[str, Any]]:
        """Return agreement, joint effect and their nulls, by frame."""
        image, feature, loco = self._resultants()
        asked, tested = self.query.count > 0, self.tested
        found = {name: agree(image[asked], values[:, asked]) for name, values in feature.items()}
        figures: dict[str, dict[str, Any]] = {"loco": {}, "swapped": {}}
        if loco:
            found["swapped"] = agree(image[tested][self.swaps], feature["swapped"][:, tested])
            found["loco"] = Agreement(*(values[:1] for values in loco.result()))
        for name, values in found.items():
            figures[name] = {"fits": len(values.joint)}
            figures[name] |= _spread("agreement", values.agreement) | _spread("joint_effect", values.joint)
        if loco:
            within = agree(image[tested][loco.positions], feature["within"][:, tested])
            figures["loco"] |= _null(loco.result())
            figures["within"] |= _null(within)
            figures["coupled"] |= _null(
                Agreement(*map(np.concatenate, zip(found["coupled"], found["swapped"], strict=True)))
            )
        return figures

    def _resultants(self) -> tuple[np.ndarray, dict[str, np.ndarray], LeaveOneOut | None]:
        """Return r_image (K,), r_feature (F, K) by kind, and the classes left out one by one."""
        loco = None
        if len(self.tested):
            memory, query = self.memory.keep(self.tested), self.query.keep(self.tested)
            loco = LeaveOneOut(memory, query, class_permutations(len(self.tested)))
        stacked = np.concatenate(list(self.frames.values()))
        image = np.zeros(len(self.query.count), complex)
        feature = np.zeros((len(stacked), len(image)), complex)
        for label, block in self.images.by_class(self.query.count):
            image[label] = resultants((block.dipole - self.frame.mean_dipole)[:, None])[0]
            feature[:, label] = resultants(self._points(stacked, block.chroma))
            if loco:
                loco.add(int(np.searchsorted(self.tested, label)), block.chroma, block.dipole)
        ends = np.cumsum([len(frames) for frames in self.frames.values()])[:-1]
        return image, dict(zip(self.frames, np.split(feature, ends), strict=True)), loco

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
