"""A part of a cell: from reduced rows to its files in the lake, the sums last as its mark.

Shape legend: n images, N channels, H x W pixels, S = 2 splits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from u1core.cells.open_cell import OpenCell
from u1core.cells.variants import VARIANTS
from u1core.images.draws import rolls
from u1core.images.sources.listing import ImageFailure
from u1core.images.sources.placed import places_of
from u1core.lake.store import list_column
from u1core.measures import medial
from u1core.measures.reduce import PartRows, Reduced
from u1core.measures.sums import LayerSums, PartSums, Timing
from u1core.networks.preprocess import preprocessing_of


def state_name(number: int) -> str:
    """Name the state of a finished part: its presence says that the part's rows are in the lake."""
    return f"part-{number:05d}.sums.npz"


def finished_part(opened: OpenCell, number: int) -> PartSums | None:
    """Return the sums of a finished part, None before it is."""
    if state := opened.state.load(state_name(number)):
        return PartSums.from_bytes(state)
    former = opened.state.load(f"part-{number:05d}.npz")  # of a cell that an earlier version left half done
    return PartSums.from_former(former) if former else None


def write_part(
    opened: OpenCell, number: int, rows: PartRows, undecoded: list[ImageFailure], timing: Timing
) -> None:
    """Write records and vectors per layer, failures, and last the sums.

    Args:
        opened: The cell whose part it is.
        number: Of the part.
        rows: Its images, reduced.
        undecoded: Images that gave no pixels.
        timing: What the part took.
    """
    keys = opened.image_columns(rows.positions)
    of_pictures = _head_columns(opened, rows.head, keys["label"]) | _place_columns(opened, keys["image_id"])
    sums = {}
    for layer, reduced in rows.layers.items():
        parted = medial.decompose(reduced.pooled)
        sums[layer] = _layer_sums(opened, rows, layer, parted.chroma)
        if len(rows.positions):
            opened.write("vectors", keys | _vectors(reduced), layer=layer, part=number)
            opened.write("records", keys | _records(reduced, parted) | of_pictures, layer=layer, part=number)
    what = "activations" if rows.head is None else "activations or logits"
    not_finite = [
        opened.images.failure(position, "forward", f"{what} that are not finite") for position in rows.failed
    ]
    failures = [*undecoded, *not_finite]
    opened.write_failures(failures, number)
    content = PartSums(sums, len(rows.positions), len(failures), timing).to_bytes()
    opened.state.save(state_name(number), content)


def _head_columns(opened: OpenCell, predicted: np.ndarray | None, label: np.ndarray) -> dict[str, Any]:
    if predicted is None or opened.own_head is None:
        return {}
    return opened.own_head.columns(predicted, label)


def _place_columns(opened: OpenCell, image_ids: np.ndarray) -> dict[str, Any]:
    """Return by how much the variant rolled each picture, and where the data set placed its object."""
    columns: dict[str, Any] = {}
    if VARIANTS[opened.cell.variant].is_rolled:
        size = preprocessing_of(opened.model).size
        columns["roll_x"], columns["roll_y"] = rolls(image_ids, size).T * (2 / size)
    if (places := places_of(opened.cell.dataset)) is not None:
        columns |= {f"object_{name}": values[image_ids] for name, values in places._asdict().items()}
    return columns


def _records(reduced: Reduced, parted: medial.Medial) -> dict[str, Any]:
    return {
        **reduced.focus,
        "negative_share": reduced.negative_share,
        "pooled_norm": parted.norm,
        "axial": parted.axial,
        "polar_angle_rad": parted.polar_angle_rad,
    }


def _vectors(reduced: Reduced) -> dict[str, Any]:
    columns: dict[str, Any] = {"pooled": list_column(reduced.pooled)}
    if maps := len(reduced.energy_map):
        columns["energy_map"] = list_column(reduced.energy_map.reshape(maps, -1).astype(np.float32))
    return columns


def _layer_sums(opened: OpenCell, rows: PartRows, layer: str, chroma: np.ndarray) -> LayerSums:
    """Sum one layer; the bottleneck class by class."""
    reduced, images = rows.layers[layer], opened.images
    return LayerSums.of_summed(
        rows.energy[layer],
        reduced.energy_map if layer == opened.model.bottleneck else None,
        chroma,
        np.stack([reduced.focus["dipole_x"], reduced.focus["dipole_y"]], axis=1),
        images.labels[rows.positions],
        images.is_query[rows.positions],
        len(images.class_names),
    )
