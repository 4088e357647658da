"""What of a cell's theta_image is beyond the pixel bank: its records against those of the bank's cell.

Both cells are in the lake already: the bank's has a layer per map, so `records` holds the dipole of each
energy of every picture. Shape legend: n images of both cells, M maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from u1core.common.errors import U1Error
from u1core.lake.store import CellId, Lake
from u1core.measures.beyond import QuadraticFit, beyond_bank, fit_quadratic
from u1core.networks.sources.pixels import BANK

_KEYS = ("image_id", "split", "label", "class_name")


class Residual(NamedTuple):
    """Angles of a layer beyond the bank, (n,) each, and the fit."""

    keys: pa.Table  # image_id, split, label, class_name
    theta_rad: np.ndarray  # arg(d - d^), NaN where nothing is left
    strength: np.ndarray  # |d - d^|, half images
    fit: QuadraticFit


def residual_angles(
    lake: Lake, cell: CellId, layer: str, bank: CellId, maps: Sequence[str] = BANK
) -> Residual:
    """Fit a layer's dipoles by the bank's on the memory split, labels unused, and return what is left of all.

    Args:
        lake: Holds both cells, done.
        cell: The network's.
        layer: Of it.
        bank: The bank's, of the same data set and variant.
        maps: Layers of the bank's cell.

    Raises:
        U1Error: They share too few memory images for as many terms as these determine.
    """
    keys, dipole = _dipoles(lake, cell, layer)
    ids = keys["image_id"].to_numpy()
    of_map = [_dipoles(lake, bank, name) for name in maps]
    shared = np.isin(ids, of_map[0][0]["image_id"].to_numpy())
    keys, ids, dipole = keys.filter(pa.array(shared)), ids[shared], dipole[shared]
    known = np.stack([values[_rows(table["image_id"].to_numpy(), ids)] for table, values in of_map], axis=1)
    in_memory = keys["split"].to_numpy(zero_copy_only=False) == "memory"
    fit = fit_quadratic(known[in_memory], dipole[in_memory])
    if fit is None:
        wanted = f"two memory images for every term that the bank of {bank} fits {cell} with"
        raise U1Error(wanted, f"{in_memory.sum()} images", "sweep both with a higher --limit")
    return Residual(keys, *beyond_bank(fit, known, dipole), fit)


def _dipoles(lake: Lake, cell: CellId, layer: str) -> tuple[pa.Table, np.ndarray]:
    """Return the keys of a layer's images and their dipoles (n, 2)."""
    columns = [*_KEYS, "dipole_x", "dipole_y"]
    parts = lake.parts("records", cell, layer=layer)
    if not parts:
        raise U1Error(f"records of layer {layer} of {cell}", "none", "sweep it first")
    table = pa.concat_tables(lake.read("records", cell, layer=layer, part=n, columns=columns) for n in parts)
    values = np.stack([table[name].to_numpy() for name in columns[-2:]], axis=1)
    return table.select(list(_KEYS)), values


def _rows(of: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Return the rows in which ids stand, all of which are there."""
    order = np.argsort(of)
    found: np.ndarray = order[np.searchsorted(of, ids, sorter=order)]
    return found
