"""From extracted parts to a readable cell: energy maps, frames, angles, commit.

Every step reads what the lake already holds and writes one deterministic set of files, so a step that a
crash cut short is simply run again. Shape legend: B images, N channels, C classes, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from u1core.catalog.entries import family_of
from u1core.cells.beyond_bank import write_beyond_bank
from u1core.cells.cell import Cell
from u1core.cells.open_cell import OpenCell
from u1core.cells.planes import compare_planes
from u1core.cells.summaries import write_likeness, write_summaries
from u1core.cells.variants import VARIANTS
from u1core.common.clock import PHASES
from u1core.common.errors import U1Error
from u1core.common.runtime import Runtime
from u1core.lake.schema import SCHEMA_VERSION, SCHEMAS
from u1core.lake.store import Lake, list_matrix
from u1core.measures import medial, optics
from u1core.measures.frames import WEAK_SHARE, Frame, feature_plane, fit_frame, image_plane
from u1core.measures.sums import SPLITS, LayerSums, PartSums
from u1core.networks.identity import identity_of

_IMAGE_COLUMNS = ["image_id", "split", "label", "class_name"]
_RECORD_COLUMNS = [*_IMAGE_COLUMNS, "dipole_x", "dipole_y"]

DECODING_PART = 99999
"""Of `failures`, for pictures that decoding lost before any part; parts of extraction count from 0."""


def fit_frames(opened: OpenCell, sums: PartSums) -> None:
    """Write the frames (memory split, no labels), the mean energy maps and every image's angles of a cell.

    Beside them stands what other frames give, and the null of the planes' agreement: those do use labels.
    """
    frames = {layer: fit_frame(sums.layers[layer].moments) for layer in opened.model.layers}
    floors = {layer: _write_angles(opened, layer, frame) for layer, frame in frames.items()}
    _write_energy_maps(opened, sums)
    _write_frames(opened, sums, frames, floors)
    compare_planes(opened, frames)


def _write_angles(opened: OpenCell, layer: str, frame: Frame) -> np.ndarray:
    """Write the angles of one layer; return the strengths of both planes (2,) below which one is weak."""
    squares = []
    for part in opened.parts("records", layer=layer):  # rows of records and vectors correspond
        records = opened.read("records", _RECORD_COLUMNS, layer=layer, part=part)
        vectors = opened.read("vectors", ["pooled"], layer=layer, part=part)
        columns = _angle_columns(frame, records, vectors)
        opened.write("angles", columns, layer=layer, part=part)
        squares.append(_memory_squares(columns))
    return WEAK_SHARE * _root_mean(squares)


def _memory_squares(columns: dict[str, Any]) -> np.ndarray:
    """Return count and sum of squares of both strengths over the memory split, (2, 2); nulls left out."""
    in_memory = np.asarray(columns["split"].to_numpy(zero_copy_only=False) == "memory")
    strengths = np.stack([columns[f"strength_{plane}"][in_memory] for plane in ("image", "feature")])
    return np.stack([np.isfinite(strengths).sum(axis=1), np.nansum(strengths**2, axis=1)])


def _root_mean(squares: list[np.ndarray]) -> np.ndarray:
    """Return the root mean squares (2,); NaN where there is no strength."""
    count, total = np.sum(squares, axis=0)
    root_mean: np.ndarray = np.sqrt(total / np.where(count > 0, count, np.nan))
    return root_mean


def _angle_columns(frame: Frame, records: pa.Table, vectors: pa.Table) -> dict[str, Any]:
    dipole = np.stack([records["dipole_x"].to_numpy(), records["dipole_y"].to_numpy()], axis=1)
    chroma = medial.decompose(list_matrix(vectors["pooled"])).chroma
    theta_image, strength_image = image_plane(frame, dipole)
    theta_feature, strength_feature = feature_plane(frame, chroma)
    return {
        **{name: records[name].combine_chunks() for name in _IMAGE_COLUMNS},
        "theta_image_rad": theta_image,
        "theta_feature_rad": theta_feature,
        "strength_image": strength_image,
        "strength_feature": strength_feature,
    }


def _write_frames(
    opened: OpenCell, sums: PartSums, frames: dict[str, Frame], floors: dict[str, np.ndarray]
) -> None:
    rows = []
    for index, (layer, frame) in enumerate(frames.items()):
        x_axis, y_axis = (None, None) if frame.axes is None else frame.axes.T
        height, width = sums.layers[layer].energy.shape[1:]
        rows.append(
            {
                "layer": layer,
                "layer_index": index,
                "is_bottleneck": layer == opened.model.bottleneck,
                "channels": frame.mean_chroma.size,
                "height": height,
                "width": width,
                "n_memory": frame.n,
                "mean_dipole_x": frame.mean_dipole[0],
                "mean_dipole_y": frame.mean_dipole[1],
                "mean_chroma": frame.mean_chroma,
                "frame_x": x_axis,
                "frame_y": y_axis,
                "coupling_1": frame.couplings[0],
                "coupling_2": frame.couplings[1],
                "floor_image": floors[layer][0],
                "floor_feature": floors[layer][1],
            }
        )
    opened.write("frames", _columns(rows))


def _write_energy_maps(opened: OpenCell, sums: PartSums) -> None:
    rows, class_names = [], opened.images.class_names
    for index, layer in enumerate(opened.model.layers):
        for split in range(len(SPLITS)):
            place = {"layer": layer, "layer_index": index, "split": SPLITS[split]}
            rows += [place | row for row in _energy_map_rows(sums.layers[layer], split, class_names)]
    opened.write("energy_maps", _columns(rows))


def _energy_map_rows(sums: LayerSums, split: int, class_names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Yield the measures of the mean map over all images, then over each class where classes are kept."""
    total = int(sums.count[split].sum())
    if total:
        yield {"label": None, "class_name": None, "n": total} | _describe(sums.energy[split] / total)
    for label, energy in enumerate(sums.class_energy[split]):
        n = int(sums.count[split, label])
        if n:
            yield {"label": label, "class_name": class_names[label], "n": n} | _describe(energy / n)


def _describe(mean_energy: np.ndarray) -> dict[str, Any]:
    """Return the columns that describe one mean energy map (H, W)."""
    focus = optics.focus(torch.from_numpy(mean_energy)[None]).numpy()
    radius, radial_energy = optics.radial_profile(mean_energy)
    fit = optics.fit_sombrero(mean_energy)
    return {
        "height": mean_energy.shape[0],
        "width": mean_energy.shape[1],
        "mean_energy": mean_energy.ravel(),
        **{name: value[0] for name, value in focus.items() if name in SCHEMAS["energy_maps"].names},
        "radius": radius,
        "radial_energy": radial_energy,
        "sombrero_a": fit.a,
        "sombrero_b": fit.b,
        "sombrero_c": fit.c,
        "trough_radius": fit.trough_radius,
        "r_squared": fit.r_squared,
    }


def _columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def commit(opened: OpenCell, sums: PartSums, located: Mapping[str, int], runtime: Runtime) -> None:
    """Make a cell readable: write the failures of decoding, then what its files are and its row of `cells`.

    The row is the commit mark: after it failed tries of the same name and the unfinished state are dropped.

    Args:
        opened: The cell, its frames fitted and its memory searched.
        sums: Of all its parts.
        located: Images by split that the location memory compared.
        runtime: Where it was extracted.

    Raises:
        U1Error: Not every picture that was found is accounted for.
    """
    opened.write_failures(opened.images.failures, DECODING_PART)
    counts = {f"location_{split}": count for split, count in located.items()}
    row = _identity_row(opened.cell) | _result_row(opened, sums, runtime) | counts
    row |= account(opened, row["rows"], row["failures"])
    write_summaries(opened)
    write_beyond_bank(opened)
    if opened.cell.variant == "original":
        write_likeness(opened)
    opened.lake.commit(opened.cell.id, row)


def account(opened: OpenCell, rows: int, failures: int) -> dict[str, Any]:
    """Say where every picture went that the source of the data set held.

    Raises:
        U1Error: Rows, failures and what is left out are not as many as were found.
    """
    images = opened.images
    repeats = images.repeats(opened.positions)
    parts = {
        "pictures_unlabelled": images.unlabelled,
        "pictures_ignored": images.ignored.count,
        "pictures_not_selected": len(images) - len(opened.positions),
    }
    total = rows + failures + sum(count or 0 for count in parts.values())
    if images.found is not None and images.found != total:
        told = ", ".join(
            f"{count} {name}" for name, count in {"rows": rows, "failures": failures, **parts}.items()
        )
        todo = "report it with the data set: pictures were lost in silence"
        raise U1Error(f"rows for all of {images.found} pictures of {opened}", f"{total}: {told}", todo)
    return {
        "pictures_found": images.found,
        **parts,
        "ignored_kinds": list(images.ignored.told),
        "pictures_repeated": None if repeats is None else repeats.across,
    }


def fail(cell: Cell, lake: Lake, error: str) -> None:
    """Record that a cell failed and why; its finished parts stay for the next try."""
    lake.mark_failed(cell.id, _identity_row(cell) | {"status": "failed", "error": error})


def _identity_row(cell: Cell) -> dict[str, Any]:
    identity, model = identity_of(cell.model), cell.model
    random_weights = f"random, seed {VARIANTS[cell.variant].seed}"
    return {
        **{name: identity[name] for name in ("architecture", "preprocessing")},
        "weights": model.weights if cell.is_trained or model.is_baseline else random_weights,
        "weights_sha256": model.sha256 or None if cell.is_trained else None,
        "objective": model.objective if cell.is_trained else None,
        "layers": list(model.layers),
        "bottleneck": model.bottleneck,
        "dataset_fingerprint": cell.fingerprint,
        "image_limit": cell.limit,
        "location_limit": cell.location_limit,
        "family": family_of(model),
        "memory": cell.memory,
        "precision": cell.precision,
        "schema_version": SCHEMA_VERSION,
        "u1sweep_version": version("u1sweep"),
        "torch_version": torch.__version__,
    }


def _result_row(opened: OpenCell, sums: PartSums, runtime: Runtime) -> dict[str, Any]:
    """Count what was asked for and what came; images that do not decode count as asked for."""
    images = opened.images
    asked = images.is_query[opened.positions]
    undecoded = [failure.is_query for failure in images.failures]
    return {
        "status": "done",
        "head_matches": opened.own_head is not None,
        "class_names": list(images.class_names),
        "images_memory": int((~asked).sum()) + undecoded.count(False),
        "images_query": int(asked.sum()) + undecoded.count(True),
        "rows": sums.rows,
        "failures": sums.failures + len(undecoded),
        "device": runtime.device,
        "batch_size": sums.timing.batch_size,
        "execution": sums.timing.execution,
        "canary_difference": sums.timing.canary,
        "seconds": sums.timing.seconds,
        "images_per_second": sums.rows / sums.timing.seconds,
        **{f"{name}_s": seconds for name, seconds in zip(PHASES, sums.timing.phases, strict=True)},
    }
