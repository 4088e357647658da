"""A small lake of made-up but plausible numbers, drawn straight from the schemas: no network, no images.

Class c sits at a planted angle; deeper layers concentrate more; the energy map is a Sombrero whose
coefficients are known; variants of one model see the same images, turned as their name says. Every number
follows from the seed and the names alone.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from u1core.lake.schema import SCHEMA_VERSION, SCHEMAS
from u1core.lake.store import CellId, Lake, RunId

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
DIRECTIONS_DEG = (-167.0, -57.6, 59.3, 95.3, 110.4, 94.5, 42.6, 101.8, -106.7, -98.1)
ACCURACY = {"pooled": 0.62, "chroma": 0.60, "theta": 0.24, "energy": 0.41}
SELECTED_AT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
RANKS = 20
TURNS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "hflip": lambda z: -z.conj(),
    "rot90": lambda z: 1j * z,
    "rot180": lambda z: -z,
    "rot270": lambda z: -1j * z,
}
"""What a variant does to a complex deviation; the others leave it."""
NOISE = {"original": 0.0, "channel-permuted": 0.0, "bfloat16": 0.01, "gray": 0.5}
"""Noise a variant adds, against the 1 between images; the others add 0.25."""


@dataclass(frozen=True)
class Layer:
    """One recorded layer: name, channels N, side of the map, whether it is the bottleneck."""

    name: str
    channels: int
    side: int
    is_bottleneck: bool


LAYERS = (
    Layer("layer1", 8, 16, False),
    Layer("layer2", 12, 12, False),
    Layer("layer3", 16, 7, True),
    Layer("mean", 16, 1, False),
)
LUMINANCE = (Layer("luminance", 1, 32, True),)


@dataclass(frozen=True)
class Cell:
    """What one synthetic cell is made of; `columns` gives the keys every row carries."""

    key: str
    dataset: str
    model: str
    variant: str
    classes: tuple[str, ...]
    layers: tuple[Layer, ...]
    per_class: int
    rng: np.random.Generator

    @property
    def is_trained(self) -> bool:
        return self.variant != "random-init" and self.model != "pixels"

    def columns(self) -> dict[str, str]:
        return {
            "cell_key": self.key,
            "dataset": self.dataset,
            "model": self.model,
            "variant": self.variant,
        }

    def labels(self) -> np.ndarray:
        return np.repeat(np.arange(len(self.classes)), self.per_class)


def write_synthetic_lake(
    root: Path,
    datasets: Sequence[str] = ("cifar10",),
    models: Sequence[str] = ("resnet20", "resnet32"),
    *,
    variants: Sequence[str] = ("original",),
    classes: Sequence[str] = CLASSES,
    layers: Sequence[Layer] = LAYERS,
    per_class: int = 12,
    absent_from_query: Iterable[int] = (),
    null_angles: bool = False,
    failed_models: Sequence[str] = (),
    bias: float = 1.0,
) -> Path:
    """Write a lake of done cells (datasets x models x variants) and of failed ones, and return its root.

    Args:
        root: Directory of the lake; made where it does not exist.
        datasets: Dataset ids.
        models: Model ids of the done cells; 'pixels' is the baseline of one channel.
        variants: Variant ids; 'random-init' gets no class bias and chance accuracy.
        classes: Class names by label.
        layers: Recorded layers, the bottleneck marked.
        per_class: Images per class and split.
        absent_from_query: Labels without any query image.
        null_angles: Every image-plane angle is null (the strength is 0).
        failed_models: Models whose only cell failed.
        bias: Strength of the planted class directions; 0 plants none.
    """
    for dataset in datasets:
        for model in models:
            for variant in variants:
                shown = LUMINANCE if model == "pixels" else layers
                cell = _cell(dataset, model, variant, classes, shown, per_class)
                strength = 0.0 if variant == "random-init" else bias
                _write_cell(root, cell, strength, set(absent_from_query), null_angles=null_angles)
        for model in failed_models:
            cell = _cell(dataset, model, "original", classes, layers, per_class)
            row = _cell_row(
                cell, 0, 0, "failed", "expected the weights file; got no network; download it first"
            )
            _write(root, "cells", cell, [row])
    return root


def write_synthetic_training(root: Path, task: str = "cifar10", *, seeds: int = 3, images: int = 200) -> Path:
    """Write runs of three arms, whose accuracy follows from arm and seed, and return the lake's root."""
    lake = Lake.open(root, create=True)
    rng = np.random.default_rng(0)
    planned = np.linspace(-3, 3, len(CLASSES))
    for seed in range(seeds):
        for arm, accuracy in (("onehot", 0.80), ("onehot+u1", 0.82), ("u1", 0.5)):
            run = RunId(f"{arm}{seed}", "e", task, "small_cnn:64", arm, 0.0 if arm == "onehot" else 0.3, seed)
            has_points, epochs = arm != "onehot", 4
            lake.write(
                "training_epochs",
                run,
                {
                    "epoch": list(range(1, epochs + 1)),
                    "loss_onehot": [1 / e for e in range(1, epochs + 1)] if arm != "u1" else None,
                    "loss_point": [0.5 / e for e in range(1, epochs + 1)] if has_points else None,
                    "validation_accuracy": [accuracy - 0.3 / e + 0.01 * seed for e in range(1, epochs + 1)],
                },
            )
            labels = np.arange(images) % len(CLASSES)
            right = rng.random(images) < accuracy
            theta = planned[labels] + rng.normal(0, 0.2, images)
            lake.write(
                "training_predictions",
                run,
                {
                    "image_id": np.arange(images),
                    "label": labels,
                    "class_name": [CLASSES[label] for label in labels],
                    "predicted_label": np.where(right, labels, (labels + 1) % len(CLASSES)),
                    "theta_rad": np.arctan2(np.sin(theta), np.cos(theta)) if has_points else None,
                },
            )
            row = {
                "is_tested": True,
                "planned_angles_rad": planned.tolist() if has_points else None,
                "class_names": list(CLASSES),
                "epochs": epochs,
                "images_train": 900,
                "images_validation": 100,
                "images_test": images,
                "angles": "random",
                "site": "head",
                "model": f"{arm}{seed}",
                "selected_at": SELECTED_AT,
            }
            lake.write("training_runs", run, {name: [value] for name, value in row.items()})
    return root


def _cell(
    dataset: str, model: str, variant: str, classes: Sequence[str], layers: Sequence[Layer], per_class: int
) -> Cell:
    key = hashlib.sha256(f"{dataset}/{model}/{variant}".encode()).hexdigest()[:16]
    rng = np.random.default_rng(int(key, 16))
    return Cell(key, dataset, model, variant, tuple(classes), tuple(layers), per_class, rng)


def _write(root: Path, table: str, cell: Cell, rows: list[dict], layer: str | None = None) -> None:
    identity = CellId(cell.key, cell.dataset, cell.model, cell.variant)
    path = Lake.open(root, create=True).path(table, identity, layer=layer)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMAS[table]), path)


def _write_cell(root: Path, cell: Cell, bias: float, absent: set[int], *, null_angles: bool) -> None:
    images = [
        {"image_id": i, "split": split, "label": int(label), "class_name": cell.classes[label]}
        for i, (split, label) in enumerate((s, c) for s in ("memory", "query") for c in cell.labels())
        if not (split == "query" and label in absent)
    ]
    head = cell.rng.random(len(images)) < 0.9
    depth = next((i for i, layer in enumerate(cell.layers) if layer.is_bottleneck), 0) + 1
    for index, layer in enumerate(cell.layers):
        focus = min((index + 1) / depth, 1.2)
        sample = _sample(cell, layer, images, bias * focus)
        keys = {**cell.columns(), "layer": layer.name}
        _write(root, "records", cell, _records(cell, layer, keys, images, sample, focus, head), layer.name)
        _write(root, "vectors", cell, _vectors(cell, keys, images, layer), layer.name)
        _write(root, "angles", cell, _angle_rows(keys, images, sample, null_angles=null_angles), layer.name)
        _write(root, "frames", cell, [_frame(cell, keys, layer, index, sample)], layer.name)
        _write(root, "energy_maps", cell, _energy_maps(cell, keys, images, layer, index, bias), layer.name)
        if layer.is_bottleneck:
            _write(root, "neighbours", cell, _neighbours(cell, keys, images, bias), layer.name)
            places = _places(cell, layer, keys, images, bias)
            if places:
                _write(root, "location_neighbours", cell, places, layer.name)
    failure = {"image_id": len(images), "split": "query", "label": 0, "class_name": cell.classes[0]}
    failure |= cell.columns() | {"stage": "decode", "error": "cannot identify image file"}
    _write(root, "failures", cell, [failure])
    n_memory = sum(image["split"] == "memory" for image in images)
    _write(root, "cells", cell, [_cell_row(cell, n_memory, len(images) - n_memory, "done", None)])


def _cell_row(cell: Cell, n_memory: int, n_query: int, status: str, error: str | None) -> dict:
    done = status == "done"
    return {
        **cell.columns(),
        "status": status,
        "error": error,
        "architecture": cell.model,
        "weights": "none" if cell.model == "pixels" else "synthetic",
        "weights_sha256": None,
        "objective": None if cell.model == "pixels" else "onehot",
        "preprocessing": json.dumps({"resize": 32}),
        "layers": [layer.name for layer in cell.layers],
        "bottleneck": next((layer.name for layer in cell.layers if layer.is_bottleneck), None),
        "dataset_fingerprint": hashlib.sha256(cell.dataset.encode()).hexdigest(),
        "class_names": list(cell.classes),
        "image_limit": None,
        "location_limit": 2000 if cell.is_trained else 0,
        "location_memory": n_memory if cell.is_trained else 0,
        "location_query": n_query if cell.is_trained else 0,
        "images_memory": n_memory,
        "images_query": n_query + int(done),
        "rows": n_memory + n_query,
        "failures": int(done),
        "pictures_found": n_memory + n_query + 6 if done else None,
        "pictures_unlabelled": 2 if done else None,
        "pictures_ignored": 3 if done else None,
        "pictures_not_selected": 0 if done else None,
        "ignored_kinds": ["3 .txt"] if done else None,
        "pictures_repeated": 0 if done else None,
        "head_matches": True,
        "precision": "float32",
        "device": "cpu",
        "batch_size": 64,
        "seconds": 1.5,
        "images_per_second": (n_memory + n_query) / 1.5,
        "schema_version": SCHEMA_VERSION,
        "u1sweep_version": "0.1.0",
        "torch_version": "2.14.0",
        "committed_at": SELECTED_AT,
        "selected_at": SELECTED_AT,
    }


@dataclass(frozen=True)
class Sample:
    """Deviations of every image from the mean: complex dipole and complex feature coordinate, (B,).

    Either is None where the layer has none: a single pixel has no dipole, one channel no chroma.
    """

    dipole: np.ndarray | None
    feature: np.ndarray | None


def _sample(cell: Cell, layer: Layer, images: list[dict], bias: float) -> Sample:
    """Draw the deviations; but for the turn and some noise the variants of one model share them."""
    seed = cell.model if cell.variant != "random-init" else cell.key
    rng = np.random.default_rng(list(f"{cell.dataset}/{seed}/{layer.name}".encode()))
    planted = np.exp(1j * np.radians(np.resize(DIRECTIONS_DEG, len(cell.classes))))
    jitter = np.exp(1j * rng.normal(0.0, 0.1, len(cell.classes)))
    label = np.array([image["label"] for image in images], dtype=int)

    def around(scale: float) -> np.ndarray:
        noise = rng.normal(size=(len(images), 2)) @ np.array([1.0, 1.0j])
        seen = TURNS.get(cell.variant, lambda z: z)(0.9 * bias * (planted * jitter)[label] + noise)
        own = cell.rng.normal(size=(len(images), 2)) @ np.array([1.0, 1.0j])
        return scale * (seen + NOISE.get(cell.variant, 0.25) * own)

    dipole, feature = around(0.06), around(0.04)
    return Sample(dipole if layer.side > 1 else None, feature if layer.channels > 1 < layer.side else None)


def _records(
    cell: Cell, layer: Layer, keys: dict, images: list[dict], sample: Sample, focus: float, head: np.ndarray
) -> list[dict]:
    spread = cell.rng.normal(0.0, 0.02, (3, len(images)))
    energy = np.exp(cell.rng.normal(3.0 + focus, 0.3, len(images)))
    dipole = np.full(len(images), -0.03 + 0.02j) if sample.dipole is None else sample.dipole
    return [
        {
            **keys,
            **image,
            "energy_total": energy[i],
            "dipole_x": 0.03 + dipole[i].real,
            "dipole_y": -0.02 + dipole[i].imag,
            "quadrupole_x": 0.05 + spread[0, i],
            "quadrupole_y": spread[1, i],
            "ee50_radius": 0.78 - 0.2 * focus + spread[0, i],
            "ee80_radius": 1.02 - 0.15 * focus + spread[1, i],
            "centre_density_ratio": 1.0 + focus,
            "anisotropy": abs(0.2 * focus + spread[2, i]) if layer.side > 1 else None,
            "sombrero_a": 9.0 + spread[0, i] if layer.side > 2 else None,
            "sombrero_b": 11.0 + spread[1, i] if layer.side > 2 else None,
            "sombrero_c": 3.8 + spread[2, i] if layer.side > 2 else None,
            "negative_share": 0.0,
            "pooled_norm": float(np.sqrt(energy[i])),
            "axial": float(np.sqrt(energy[i])) * 0.7,
            "polar_angle_rad": 0.5 + 0.3 * focus + spread[2, i] if layer.channels > 1 else 0.0,
            "head_label": image["label"] if head[i] else (image["label"] + 1) % len(cell.classes),
            "head_correct": bool(head[i]),
        }
        for i, image in enumerate(images)
    ]


def _vectors(cell: Cell, keys: dict, images: list[dict], layer: Layer) -> list[dict]:
    pooled = cell.rng.gamma(2.0, 0.5, (len(images), layer.channels)).astype(np.float32)
    return [
        {**keys, **image, "pooled": pooled[i].tolist(), "energy_map": None} for i, image in enumerate(images)
    ]


def _angle_rows(keys: dict, images: list[dict], sample: Sample, *, null_angles: bool) -> list[dict]:
    def theta(z: np.ndarray | None, i: int) -> float | None:
        return None if z is None else float(np.angle(z[i]))

    def strength(z: np.ndarray | None, i: int) -> float | None:
        return None if z is None else float(abs(z[i]))

    return [
        {
            **keys,
            **image,
            "theta_image_rad": None if null_angles else theta(sample.dipole, i),
            "theta_feature_rad": theta(sample.feature, i),
            "strength_image": 0.0 if null_angles else strength(sample.dipole, i),
            "strength_feature": strength(sample.feature, i),
        }
        for i, image in enumerate(images)
    ]


def _floor(deviation: np.ndarray | None) -> float | None:
    return None if deviation is None else 0.1 * float(np.sqrt(np.mean(np.abs(deviation) ** 2)))


def _frame(cell: Cell, keys: dict, layer: Layer, index: int, sample: Sample) -> dict:
    axes = np.linalg.qr(cell.rng.normal(size=(layer.channels, 2)))[0] if layer.channels > 1 else None
    return {
        **keys,
        "layer_index": index,
        "is_bottleneck": layer.is_bottleneck,
        "channels": layer.channels,
        "height": layer.side,
        "width": layer.side,
        "n_memory": len(cell.labels()),
        "mean_dipole_x": 0.03 if layer.side > 1 else 0.0,
        "mean_dipole_y": -0.02 if layer.side > 1 else 0.0,
        "mean_chroma": [0.0] * layer.channels,
        "frame_x": None if axes is None else axes[:, 0].tolist(),
        "frame_y": None if axes is None else axes[:, 1].tolist(),
        "coupling_1": 0.03 * (index + 1) if sample.feature is not None else 0.0,
        "coupling_2": 0.02 * (index + 1) if sample.feature is not None else 0.0,
        "floor_image": _floor(sample.dipole),
        "floor_feature": _floor(sample.feature),
    }


def _energy_maps(
    cell: Cell, keys: dict, images: list[dict], layer: Layer, index: int, bias: float
) -> list[dict]:
    rows = []
    labels = [None, *range(len(cell.classes))] if layer.is_bottleneck else [None]
    if layer.side == 1:
        return [keys | _point_row(index, split, images) for split in ("memory", "query")]
    for split in ("memory", "query"):
        for label in labels:
            n = sum(i["split"] == split and label in (None, i["label"]) for i in images)
            angle = None if label is None else np.radians(np.resize(DIRECTIONS_DEG, label + 1)[label])
            if n:
                rows.append(keys | _map_row(cell, layer, index, (split, label, n), angle, bias))
    return rows


def _point_row(index: int, split: str, images: list[dict]) -> dict:
    """The mean map of a single pixel: a number, no shape."""
    n = sum(image["split"] == split for image in images)
    point = {"layer_index": index, "split": split, "n": n, "height": 1, "width": 1, "mean_energy": [2.0]}
    return point | {"ee50_radius": 0.8, "ee80_radius": 1.0, "radius": [0.0], "radial_energy": [2.0]}


def _map_row(
    cell: Cell,
    layer: Layer,
    index: int,
    key: tuple[str, int | None, int],
    angle: float | None,
    bias: float,
) -> dict:
    split, label, n = key
    a, b, c = 9.0, 11.0, 3.8
    centre = (2 * np.arange(layer.side) + 1) / layer.side - 1
    x, y = np.meshgrid(centre, -centre)
    r = np.hypot(x, y)
    energy = np.maximum(a - b * r**2 + c * r**4, 0.0) + cell.rng.gamma(2.0, 0.08, r.shape)
    if angle is not None:
        energy *= 1 + 0.4 * bias * (x * np.cos(angle) + y * np.sin(angle)) / np.sqrt(2)
    edges = np.linspace(0.0, np.sqrt(2), layer.side // 2 + 2)
    ring = np.clip(np.digitize(r, edges) - 1, 0, len(edges) - 2)
    filled = [k for k in range(len(edges) - 1) if (ring == k).any()]
    order = np.argsort(r.ravel(), kind="stable")
    cumulated = np.cumsum(energy.ravel()[order]) / energy.sum()
    return {
        "layer_index": index,
        "split": split,
        "label": label,
        "class_name": None if label is None else cell.classes[label],
        "n": n,
        "height": layer.side,
        "width": layer.side,
        "mean_energy": energy.ravel().tolist(),
        "ee50_radius": float(np.interp(0.5, cumulated, r.ravel()[order])),
        "ee80_radius": float(np.interp(0.8, cumulated, r.ravel()[order])),
        "centre_density_ratio": 2.0,
        "anisotropy": 0.05,
        "radius": [float(r[ring == k].mean()) for k in filled],
        "radial_energy": [float(energy[ring == k].mean()) for k in filled],
        "sombrero_a": a,
        "sombrero_b": b,
        "sombrero_c": c,
        "trough_radius": float(np.sqrt(b / (2 * c))),
        "r_squared": 0.93,
    }


def _neighbours(cell: Cell, keys: dict, images: list[dict], bias: float) -> list[dict]:
    memory = [image for image in images if image["split"] == "memory"]
    by_label = {c: [m for m in memory if m["label"] == c] for c in range(len(cell.classes))}
    rows = []
    for scheme, accuracy in ACCURACY.items():
        for image in (i for i in images if i["split"] == "query"):
            hit = cell.rng.random(RANKS) < accuracy * min(bias, 1.0)
            similar = np.sort(cell.rng.beta(8, 2, RANKS))[::-1]
            for rank in range(min(RANKS, len(memory))):
                pool = by_label[image["label"]] if hit[rank] else memory
                match = pool[int(cell.rng.integers(len(pool)))]
                rows.append(
                    {
                        **keys,
                        "scheme": scheme,
                        "image_id": image["image_id"],
                        "label": image["label"],
                        "rank": rank + 1,
                        "memory_image_id": match["image_id"],
                        "memory_label": match["label"],
                        "similarity": float(similar[rank]),
                    }
                )
    return rows


def _places(cell: Cell, layer: Layer, keys: dict, images: list[dict], bias: float) -> list[dict]:
    """The nearest image at every place: right at 0.6 above chance in the centre, at chance in the corners."""
    if not cell.is_trained:
        return []
    memory = [image for image in images if image["split"] == "memory"]
    centre = (2 * np.arange(layer.side) + 1) / layer.side - 1
    searches = [("location", x, -y, 0.6 * np.exp(-2 * (x**2 + y**2))) for y in centre for x in centre]
    searches += [("pooled", None, None, ACCURACY["pooled"]), ("full", None, None, 0.7)]
    rows = []
    for scheme, x, y, accuracy in searches:
        for image in (i for i in images if i["split"] == "query"):
            pool = [m for m in memory if m["label"] == image["label"]]
            if cell.rng.random() > accuracy * bias:
                pool = memory
            match = pool[int(cell.rng.integers(len(pool)))]
            place = {"scheme": scheme, "x": x, "y": y, "image_id": image["image_id"], "label": image["label"]}
            match_row = {"memory_image_id": match["image_id"], "memory_label": match["label"]}
            rows.append({**keys, **place, **match_row, "similarity": float(cell.rng.beta(8, 2))})
    return rows
