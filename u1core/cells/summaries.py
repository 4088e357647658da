"""What a cell comes to, computed once before it is committed: shapes, bits, pictures that come again.

Shape legend: B images, H x W pixels.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import asdict
from typing import NamedTuple

import numpy as np

from u1core.cells.open_cell import OpenCell
from u1core.images.alike import find_alike
from u1core.lake.store import list_matrix
from u1core.measures.bits import held_out_bits
from u1core.measures.shape import (
    GROUPS,
    Shape,
    compare_shapes,
    group_of,
    half_of,
    jackknife_error,
    rise_weights,
    share_of_means,
    shared_anisotropy,
)
from u1core.measures.sums import SPLITS

_BATCH = 8192
"""Images that are read at a time."""

_JUDGED = ("gain", "fall", "turn")
"""Of a shape, what a claim is judged by and what needs an error for that."""


def write_summaries(opened: OpenCell) -> None:
    """Write the shapes of the bottleneck's mean maps and the bits that angles tell, every layer's."""
    _write_shapes(opened)
    rows = [row for layer in opened.model.layers for row in _bits(opened, layer)]
    opened.write("theta_bits", {name: [row[name] for row in rows] for name in rows[0]})


def write_likeness(opened: OpenCell) -> None:
    """Write the memory picture that each query picture is most like, where they can be compared."""
    images = opened.images
    found = find_alike(images, opened.positions)
    if found is None:
        return
    columns = {
        "image_id": images.image_ids[found.query],
        "label": images.labels[found.query],
        "memory_image_id": images.image_ids[found.memory],
        "memory_label": images.labels[found.memory],
        "likeness": found.likeness,
        "mirrored_likeness": found.mirrored,
    }
    opened.write("likeness", columns)


def _write_shapes(opened: OpenCell) -> None:
    """Write one row per split and half: the curves of the other half, tried on this one."""
    size, halves = _half_maps(opened)
    maps = {key: half.mean for key, half in halves.items()}
    shapes = {(s, h): compare_shapes(maps[s, 1 - h], maps[s, h]) for s, h in maps if (s, 1 - h) in maps}
    rises = _rises(opened, size, shapes)
    rows = [
        {"layer": opened.model.bottleneck, "split": split, "half": half}
        | asdict(shape)
        | dict(zip(("n", "rise", "rise_se"), rises[split, half], strict=True))
        | _errors(halves[split, 1 - half], halves[split, half])
        for (split, half), shape in shapes.items()
    ]
    if rows:
        opened.write("shapes", {name: [row[name] for row in rows] for name in rows[0]})


class HalfMaps(NamedTuple):
    """Energy maps of one half of a split, summed by group of images: sums (G, H, W), images (G,)."""

    sums: np.ndarray
    images: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """Mean map of the half, (H, W)."""
        mean: np.ndarray = self.sums.sum(axis=0) / self.images.sum()
        return mean

    def without(self, group: np.intp) -> HalfMaps:
        """Leave one group out."""
        return HalfMaps(np.delete(self.sums, group, axis=0), np.delete(self.images, group))


def _errors(fitted: HalfMaps, held_out: HalfMaps) -> dict[str, float | None]:
    """Return the anisotropy that both halves share, and standard errors: each group left out of both."""
    left_out = []
    for group in np.flatnonzero(fitted.images + held_out.images):
        rest = [half.without(group) for half in (fitted, held_out)]
        if all(half.images.any() for half in rest):
            maps = [half.mean for half in rest]
            left_out.append((compare_shapes(*maps), shared_anisotropy(*maps)))
    return {
        **{f"{name}_se": jackknife_error([getattr(s, name) for s, _ in left_out]) for name in _JUDGED},
        "anisotropy": shared_anisotropy(fitted.mean, held_out.mean),
        "anisotropy_se": jackknife_error([anisotropy for _, anisotropy in left_out]),
    }


def _halves(opened: OpenCell) -> Iterator[tuple[tuple[str, int], np.ndarray, np.ndarray]]:
    """Yield split and half, and the ids (B,) and the bottleneck's energy maps (B, HW) of some of them."""
    columns = ["image_id", "split", "energy_map"]
    for batch in opened.batches("vectors", _BATCH, columns, layer=opened.model.bottleneck):
        split, image_id = batch["split"].to_numpy(zero_copy_only=False), batch["image_id"].to_numpy()
        half, maps = half_of(image_id), list_matrix(batch["energy_map"])
        for key in itertools.product(SPLITS, (0, 1)):
            mine = np.asarray((split == key[0]) & (half == key[1]))
            if mine.any():
                yield key, image_id[mine], maps[mine].astype(np.float64)


def _half_maps(opened: OpenCell) -> tuple[tuple[int, int], dict[tuple[str, int], HalfMaps]]:
    """Return the size of the bottleneck's maps, and the maps of each half that has an image."""
    frames = opened.read("frames", ["is_bottleneck", "height", "width"]).to_pylist()
    size = next((row["height"], row["width"]) for row in frames if row["is_bottleneck"])
    found: dict[tuple[str, int], HalfMaps] = {}
    for key, image_id, maps in _halves(opened):
        half = found.setdefault(key, HalfMaps(np.zeros((GROUPS, *size)), np.zeros(GROUPS, dtype=np.int64)))
        group = group_of(image_id)
        np.add.at(half.sums, group, maps.reshape(-1, *size))
        half.images[:] += np.bincount(group, minlength=GROUPS)
    return size, {key: found[key] for key in itertools.product(SPLITS, (0, 1)) if key in found}


def _rises(
    opened: OpenCell, size: tuple[int, int], shapes: dict[tuple[str, int], Shape]
) -> dict[tuple[str, int], tuple[int, float | None, float | None]]:
    """Return of each half its images, their rise beyond the trough fitted without them, and its error."""
    weights = {
        key: None if shape.trough_radius is None else rise_weights(size, shape.trough_radius)
        for key, shape in shapes.items()
    }
    seen: dict[tuple[str, int], list[np.ndarray]] = {key: [] for key in shapes}
    for key, _, maps in _halves(opened):
        if key in shapes:
            weight = weights[key]
            part = np.full(len(maps), np.nan) if weight is None else maps @ weight.ravel()
            seen[key].append(np.stack([part, maps.mean(axis=1)]))
    found = {key: np.concatenate(parts, axis=1) for key, parts in seen.items()}
    return {
        key: (part.shape[1], *((None, None) if weights[key] is None else share_of_means(*part)))
        for key, part in found.items()
    }


def _bits(opened: OpenCell, layer: str) -> list[dict[str, object]]:
    """Return one row per plane: what memory's angles tell of the classes of query images."""
    names = ["split", "label", "theta_image_rad", "theta_feature_rad"]
    parts = [opened.read("angles", names, layer=layer, part=p) for p in opened.parts("angles", layer=layer)]
    split, label, *angles = (
        np.concatenate([part[name].to_numpy(zero_copy_only=False) for part in parts]) for name in names
    )
    memory, rows = split == "memory", []
    for plane, angle in zip(("image", "feature"), angles, strict=True):
        angle = angle.astype(np.float64)
        told = held_out_bits(angle[memory], label[memory], angle[~memory], label[~memory])
        rows.append({"layer": layer, "plane": plane} | asdict(told))
    return rows
