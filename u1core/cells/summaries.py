"""What a cell comes to, computed once before it is committed: shapes, bits, pictures that come again.

Shape legend: B images, H x W pixels.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np

from u1core.cells.open_cell import OpenCell
from u1core.images.alike import find_alike
from u1core.lake.store import list_matrix
from u1core.measures.bits import held_out_bits
from u1core.measures.shape import Shape, compare_shapes, half_of, rise_weights, share_of_means
from u1core.measures.sums import SPLITS

_BATCH = 8192
"""Images that are read at a time."""


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
    size, means = _mean_maps(opened)
    shapes = {
        (split, half): compare_shapes(means[split, 1 - half], means[split, half])
        for split, half in means
        if (split, 1 - half) in means
    }
    rises = _rises(opened, size, shapes)
    rows = [
        {"layer": opened.model.bottleneck, "split": split, "half": half}
        | asdict(shape)
        | dict(zip(("n", "rise", "rise_se"), rises[split, half], strict=True))
        for (split, half), shape in shapes.items()
    ]
    if rows:
        opened.write("shapes", {name: [row[name] for row in rows] for name in rows[0]})


def _halves(opened: OpenCell) -> Iterator[tuple[tuple[str, int], np.ndarray]]:
    """Yield split and half, and the bottleneck's energy maps (B, HW) of some of their images."""
    columns = ["image_id", "split", "energy_map"]
    for batch in opened.batches("vectors", _BATCH, columns, layer=opened.model.bottleneck):
        split, half = batch["split"].to_numpy(zero_copy_only=False), half_of(batch["image_id"].to_numpy())
        maps = list_matrix(batch["energy_map"])
        for key in itertools.product(SPLITS, (0, 1)):
            mine = np.asarray((split == key[0]) & (half == key[1]))
            if mine.any():
                yield key, maps[mine].astype(np.float64)


def _mean_maps(opened: OpenCell) -> tuple[tuple[int, int], dict[tuple[str, int], np.ndarray]]:
    """Return the size of the bottleneck's maps, and the mean map (H, W) of each half that has an image."""
    frames = opened.read("frames", ["is_bottleneck", "height", "width"]).to_pylist()
    size = next((row["height"], row["width"]) for row in frames if row["is_bottleneck"])
    sums: dict[tuple[str, int], np.ndarray] = {}
    counts: Counter[tuple[str, int]] = Counter()
    for key, maps in _halves(opened):
        sums[key] = sums.get(key, 0.0) + maps.sum(axis=0)
        counts[key] += len(maps)
    order = [key for key in itertools.product(SPLITS, (0, 1)) if key in sums]
    return size, {key: (sums[key] / counts[key]).reshape(size) for key in order}


def _rises(
    opened: OpenCell, size: tuple[int, int], shapes: dict[tuple[str, int], Shape]
) -> dict[tuple[str, int], tuple[int, float | None, float | None]]:
    """Return of each half its images, their rise beyond the trough fitted without them, and its error."""
    weights = {
        key: None if shape.trough_radius is None else rise_weights(size, shape.trough_radius)
        for key, shape in shapes.items()
    }
    seen: dict[tuple[str, int], list[np.ndarray]] = {key: [] for key in shapes}
    for key, maps in _halves(opened):
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
