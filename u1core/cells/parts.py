"""A part of a cell: from reduced rows to its files in the lake, the sums last as its mark.

Shape legend: n images, N channels, H x W pixels, S = 2 splits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from u1core.cells.cell import Cell
from u1core.images.cache import Images
from u1core.images.sources.listing import ImageFailure
from u1core.lake.store import Lake, list_column
from u1core.measures import medial
from u1core.measures.reduce import PartRows, Reduced
from u1core.measures.sums import SPLITS, LayerSums, PartSums, Timing


def state_name(number: int) -> str:
    """Name the state of a finished part: its presence says that the part's rows are in the lake."""
    return f"part-{number:05d}.npz"


def finished_part(lake: Lake, cell: Cell, number: int) -> PartSums | None:
    """Return the sums of a finished part, None before it is."""
    state = lake.load_state(cell.id, state_name(number))
    return None if state is None else PartSums.from_bytes(state)


def write_part(
    number: int,
    rows: PartRows,
    undecoded: list[ImageFailure],
    cell: Cell,
    images: Images,
    lake: Lake,
    timing: Timing,
) -> None:
    """Write records and vectors per layer, failures, and last the sums.

    Args:
        number: Of the part.
        rows: Its images, reduced.
        undecoded: Images that gave no pixels.
        cell: Whose part it is.
        images: Its dataset.
        lake: Where the files go.
        timing: What the part took.
    """
    keys = _image_columns(images, rows.positions)
    heads = {} if rows.head is None else {"head_label": rows.head, "head_correct": rows.head == keys["label"]}
    sums = {}
    for name, reduced in rows.layers.items():
        parts = medial.decompose(reduced.pooled)
        sums[name] = _layer_sums(rows, name, parts.chroma, images, keep_classes=name == cell.model.bottleneck)
        if len(rows.positions):
            lake.write("vectors", cell.id, keys | _vectors(reduced), layer=name, part=number)
            columns = keys | _records(reduced, parts) | heads
            lake.write("records", cell.id, columns, layer=name, part=number)
    _write_failures(number, rows.failed, undecoded, cell, images, lake)
    failures = len(rows.failed) + len(undecoded)
    content = PartSums(sums, len(rows.positions), failures, timing).to_bytes()
    lake.save_state(cell.id, state_name(number), content)


def _image_columns(images: Images, positions: np.ndarray) -> dict[str, np.ndarray]:
    """Return the columns that say which image a row is about."""
    return {
        "image_id": images.image_ids[positions],
        "split": np.array(SPLITS)[images.is_query[positions].astype(int)],
        "label": images.labels[positions],
        "class_name": np.array(images.class_names)[images.labels[positions]],
    }


def _records(reduced: Reduced, parts: medial.Medial) -> dict[str, Any]:
    return {
        **reduced.focus,
        "negative_share": reduced.negative_share,
        "pooled_norm": parts.norm,
        "axial": parts.axial,
        "polar_angle_rad": parts.polar_angle_rad,
    }


def _vectors(reduced: Reduced) -> dict[str, Any]:
    columns: dict[str, Any] = {"pooled": list_column(reduced.pooled)}
    if maps := len(reduced.energy_map):
        columns["energy_map"] = list_column(reduced.energy_map.reshape(maps, -1).astype(np.float32))
    return columns


def _layer_sums(
    rows: PartRows, layer: str, chroma: np.ndarray, images: Images, *, keep_classes: bool
) -> LayerSums:
    reduced = rows.layers[layer]
    return LayerSums.of_summed(
        rows.energy[layer],
        reduced.energy_map if keep_classes else None,
        chroma,
        np.stack([reduced.focus["dipole_x"], reduced.focus["dipole_y"]], axis=1),
        images.labels[rows.positions],
        images.is_query[rows.positions],
        len(images.class_names),
    )


def _write_failures(
    number: int,
    failed: np.ndarray,
    undecoded: list[ImageFailure],
    cell: Cell,
    images: Images,
    lake: Lake,
) -> None:
    reasons = [("decode", failure.error) for failure in undecoded]
    reasons += [("forward", "activations that are not finite")] * len(failed)
    if not reasons:
        return
    ids = np.concatenate([[failure.image_id for failure in undecoded], images.image_ids[failed]])
    positions = np.searchsorted(images.image_ids, ids)
    stages, errors = zip(*reasons, strict=True)
    columns = {**_image_columns(images, positions), "stage": list(stages), "error": list(errors)}
    lake.write("failures", cell.id, columns, part=number)
