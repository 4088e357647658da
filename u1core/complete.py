"""From extracted parts to a readable cell: energy maps, frames, angles, neighbours, commit.

Every step reads what the lake already holds and writes one deterministic set of files, so a step that a
crash cut short is simply run again. Shape legend: B images, N channels, C classes, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch

from u1core import medial, optics
from u1core.accumulate import SPLITS, LayerSums, PartSums
from u1core.cells import Cell
from u1core.datasets import Images, select_images
from u1core.extract import Runtime
from u1core.frames import Frame, feature_plane, fit_frame, image_plane
from u1core.lake.store import Lake
from u1core.memory import NEIGHBOURS, nearest, unit_circle
from u1core.schema import SCHEMA_VERSION

_IMAGE_COLUMNS = ["image_id", "split", "label", "class_name"]
_BLOCK_ROWS = 8192


def fit_frames(cell: Cell, lake: Lake, sums: PartSums, class_names: tuple[str, ...]) -> None:
    """Write the frames (memory split, no labels), the mean energy maps and every image's angles of a cell."""
    frames = {layer: fit_frame(sums.layers[layer].moments) for layer in cell.model.layers}
    for layer, frame in frames.items():
        for part, records, vectors in _parts(lake, cell, layer):
            lake.write("angles", cell.id, _angle_columns(frame, records, vectors), layer=layer, part=part)
    _write_energy_maps(cell, lake, sums, class_names)
    _write_frames(cell, lake, sums, frames)


def _parts(lake: Lake, cell: Cell, layer: str) -> Iterator[tuple[int, pa.Table, pa.Table]]:
    """Yield part number, records and vectors of a layer; rows of the two correspond."""
    part = 0
    while (path := lake.path("records", cell.id, layer=layer, part=part)).is_file():
        vectors = lake.path("vectors", cell.id, layer=layer, part=part)
        yield part, pq.ParquetFile(path).read(), pq.ParquetFile(vectors).read(columns=["pooled"])
        part += 1


def _matrix(column: pa.ChunkedArray) -> np.ndarray:
    """Return a list column of equal lengths as a matrix (rows, D)."""
    flat = pa.concat_arrays([chunk.flatten() for chunk in column.chunks])
    return np.asarray(flat).reshape(len(column), -1)


def _angle_columns(frame: Frame, records: pa.Table, vectors: pa.Table) -> dict[str, Any]:
    dipole = np.stack([records["dipole_x"].to_numpy(), records["dipole_y"].to_numpy()], axis=1)
    chroma = medial.decompose(_matrix(vectors["pooled"])).chroma
    theta_image, strength_image = image_plane(frame, dipole)
    theta_feature, strength_feature = feature_plane(frame, chroma)
    return {
        **{name: records[name].combine_chunks() for name in _IMAGE_COLUMNS},
        "theta_image_rad": theta_image,
        "theta_feature_rad": theta_feature,
        "strength_image": strength_image,
        "strength_feature": strength_feature,
    }


def _write_frames(cell: Cell, lake: Lake, sums: PartSums, frames: dict[str, Frame]) -> None:
    rows = []
    for index, (layer, frame) in enumerate(frames.items()):
        x_axis, y_axis = (None, None) if frame.axes is None else frame.axes.T
        height, width = sums.layers[layer].energy.shape[1:]
        rows.append(
            {
                "layer": layer,
                "layer_index": index,
                "is_bottleneck": layer == cell.model.bottleneck,
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
            }
        )
    lake.write("frames", cell.id, _columns(rows))


def _write_energy_maps(cell: Cell, lake: Lake, sums: PartSums, class_names: tuple[str, ...]) -> None:
    rows = []
    for index, layer in enumerate(cell.model.layers):
        for split in range(len(SPLITS)):
            place = {"layer": layer, "layer_index": index, "split": SPLITS[split]}
            rows += [place | row for row in _energy_map_rows(sums.layers[layer], split, class_names)]
    lake.write("energy_maps", cell.id, _columns(rows))


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
    focus = {
        name: value[0] for name, value in optics.focus(torch.from_numpy(mean_energy)[None]).numpy().items()
    }
    radius, radial_energy = optics.radial_profile(mean_energy)
    fit = optics.fit_sombrero(mean_energy)
    return {
        "height": mean_energy.shape[0],
        "width": mean_energy.shape[1],
        "mean_energy": mean_energy.ravel(),
        **{
            name: focus[name] for name in ("ee50_radius", "ee80_radius", "centre_density_ratio", "anisotropy")
        },
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


def commit(cell: Cell, lake: Lake, images: Images, sums: PartSums, runtime: Runtime) -> None:
    """Make a cell readable: write the failures of decoding, then the row of `cells`, the commit mark."""
    _write_decode_failures(cell, lake, images)
    lake.commit(cell.id, _identity_row(cell) | _result_row(cell, images, sums, runtime))


def fail(cell: Cell, lake: Lake, error: str) -> None:
    """Record that a cell failed and why; its finished parts stay for the next try."""
    lake.mark_failed(cell.id, _identity_row(cell) | {"status": "failed", "error": error})


def _identity_row(cell: Cell) -> dict[str, Any]:
    identity = cell.model.identity()
    trained = cell.variant == "original"
    return {
        **{name: identity[name] for name in ("architecture", "preprocessing")},
        "weights": identity["weights"] if trained else "random, seed 0",
        "weights_sha256": identity["sha256"] if trained else None,
        "layers": list(cell.model.layers),
        "bottleneck": cell.model.bottleneck,
        "dataset_fingerprint": cell.fingerprint,
        "image_limit": cell.limit,
        "head_matches": cell.head_matches,
        "precision": cell.precision,
        "schema_version": SCHEMA_VERSION,
        "u1sweep_version": version("u1sweep"),
        "torch_version": torch.__version__,
    }


def _result_row(cell: Cell, images: Images, sums: PartSums, runtime: Runtime) -> dict[str, Any]:
    """Count what was asked for and what came; images that do not decode count as asked for."""
    asked = images.is_query[select_images(images, cell.limit)]
    undecoded = [failure.is_query for failure in images.failures]
    return {
        "status": "done",
        "class_names": list(images.class_names),
        "images_memory": int((~asked).sum()) + undecoded.count(False),
        "images_query": int(asked.sum()) + undecoded.count(True),
        "rows": sums.rows,
        "failures": sums.failures + len(undecoded),
        "device": runtime.device,
        "batch_size": runtime.batch_size,
        "seconds": sums.seconds,
        "images_per_second": sums.rows / sums.seconds,
    }


def _write_decode_failures(cell: Cell, lake: Lake, images: Images) -> None:
    if not images.failures:
        return
    rows = [
        {
            "image_id": f.image_id,
            "split": SPLITS[f.is_query],
            "label": f.label,
            "class_name": images.class_names[f.label],
            "stage": f.stage,
            "error": f.error,
        }
        for f in images.failures
    ]
    # Parts of extraction count from 0; no dataset reaches this number.
    lake.write("failures", cell.id, _columns(rows), part=99999)


# -- memory search ----------------------------------------------------------------------------------


SCHEMES = ("pooled", "chroma", "theta", "energy")


def search_memory(cell: Cell, lake: Lake, device: str = "cpu") -> None:
    """Write the nearest memory images of every query image at the bottleneck, one set per scheme."""
    columns: dict[str, list[np.ndarray]] = {}
    memory = _image_rows(lake, cell, "memory")
    query = _image_rows(lake, cell, "query")
    if not len(memory["image_id"]) or not len(query["image_id"]):
        return
    for scheme in SCHEMES:
        asked = np.concatenate(list(_features(lake, cell, scheme, "query")))
        found = nearest(asked, _features(lake, cell, scheme, "memory"), NEIGHBOURS, device)
        ranks = found.position.shape[1]
        for name, values in {
            "scheme": np.full(found.position.size, scheme),
            "image_id": np.repeat(query["image_id"], ranks),
            "label": np.repeat(query["label"], ranks),
            "rank": np.tile(np.arange(1, ranks + 1), len(asked)),
            "memory_image_id": memory["image_id"][found.position].ravel(),
            "memory_label": memory["label"][found.position].ravel(),
            "similarity": found.similarity.ravel().astype(np.float64),
        }.items():
            columns.setdefault(name, []).append(values)
    merged = {name: np.concatenate(values) for name, values in columns.items()}
    lake.write("neighbours", cell.id, merged, layer=cell.model.bottleneck)


def _bottleneck_files(lake: Lake, cell: Cell, table: str) -> Iterator[Path]:
    part = 0
    while (path := lake.path(table, cell.id, layer=cell.model.bottleneck, part=part)).is_file():
        yield path
        part += 1


def _blocks(lake: Lake, cell: Cell, table: str, split: str, columns: list[str]) -> Iterator[pa.Table]:
    """Yield the rows of one split of the bottleneck, in image order, in blocks of bounded size."""
    for path in _bottleneck_files(lake, cell, table):
        for batch in pq.ParquetFile(path).iter_batches(_BLOCK_ROWS, columns=["split", *columns]):
            rows = pa.Table.from_batches([batch])
            rows = rows.filter(pc.equal(rows["split"], split))
            if len(rows):
                yield rows


def _image_rows(lake: Lake, cell: Cell, split: str) -> dict[str, np.ndarray]:
    names = ["image_id", "label"]
    blocks = list(_blocks(lake, cell, "records", split, names))
    return {
        n: np.concatenate([b[n].to_numpy() for b in blocks] or [np.empty(0, dtype=np.int64)]) for n in names
    }


def _features(lake: Lake, cell: Cell, scheme: str, split: str) -> Iterator[np.ndarray]:
    """Yield the vectors (B, D) that a scheme compares by cosine, block by block.

    Angles keep float64: neighbours on a circle of thousands lie closer than float32 resolves a cosine.
    """
    if scheme == "theta":
        for block in _blocks(lake, cell, "angles", split, ["theta_feature_rad"]):
            yield unit_circle(block["theta_feature_rad"].to_numpy())
    else:
        column = "energy_map" if scheme == "energy" else "pooled"
        for block in _blocks(lake, cell, "vectors", split, [column]):
            values = _matrix(block[column])
            if scheme == "chroma":
                values = np.nan_to_num(medial.decompose(values).chroma).astype(np.float32)
            yield values
