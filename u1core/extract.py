"""Extraction: one forward pass per batch, everything per image reduced on the device.

Shape legend: B images, N channels, H x W pixels, C classes. Memory is bounded by one batch of
activations and one part of reduced rows, whatever the size of the dataset.
"""

from __future__ import annotations

import functools
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from u1core import medial, optics
from u1core.accumulate import SPLITS, LayerSums, PartSums
from u1core.catalog import ModelEntry
from u1core.cells import Cell
from u1core.datasets import Images, select_images
from u1core.errors import U1Error
from u1core.lake.store import Lake, list_column
from u1core.maps import LocationMaps, MapsWriter, by_place
from u1core.networks import build_network, describe_path, preprocessor
from u1core.taps import Taps
from u1core.variants import VARIANTS

PART_IMAGES = 2048
"""Images per part, the unit that a crash can cost."""

Progress = Callable[[int, int], None]
"""Called with images done and images in all."""


@dataclass(frozen=True)
class Runtime:
    """How to run, none of which changes what is measured.

    Attributes:
        device: A torch device, resolved.
        batch_size: Images per forward pass; None chooses by the input's size.
        models_dir: Folder of weights files; None leaves $U1_MODELS.
    """

    device: str = "cpu"
    batch_size: int | None = None
    models_dir: Path | None = None


def resolve_device(name: str) -> str:
    """Return a usable torch device; 'auto' takes CUDA where there is one, else the CPU.

    Raises:
        U1Error: torch does not know the device, or the machine does not have it.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        if torch.device(name).type not in ("cpu", "cuda", "mps", "xpu"):
            raise RuntimeError(f"{name} computes nothing")
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as e:
        have = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        raise U1Error(
            "--device to name a device of this machine", repr(name), f"use auto or one of: {', '.join(have)}"
        ) from e
    return name


@contextmanager
def arithmetic(device: str, precision: str) -> Iterator[None]:
    """Run forward passes in one precision: float32 means float32, without TF32."""
    dtype = getattr(torch, precision)
    with (
        _without_tf32(),
        torch.inference_mode(),
        torch.autocast(torch.device(device).type, dtype, enabled=dtype != torch.float32),
    ):
        yield


_tf32_lock = threading.Lock()
_tf32_users: list[tuple[bool, bool]] = []


@contextmanager
def _without_tf32() -> Iterator[None]:
    """Switch TF32 off for the process while any thread is inside: one per GPU may be."""
    with _tf32_lock:
        # What the first one found is what the last one restores.
        found = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
        _tf32_users.append(_tf32_users[0] if _tf32_users else found)
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        with _tf32_lock:
            before = _tf32_users.pop()
            if not _tf32_users:
                torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


@dataclass(frozen=True)
class Reduced:
    """One layer of one batch, reduced: what leaves the device."""

    pooled: np.ndarray  # (B, N) float32
    negative_share: np.ndarray  # (B,)
    energy_map: np.ndarray  # (B, H, W) float64
    focus: dict[str, np.ndarray]  # (B,) each


def reduce_layer(activations: Tensor) -> Reduced:
    """Reduce activations (B, N, H, W) of any floating type to what the lake records.

    What a global pool gives without its two axes, (B, N), is a map of 1 x 1.
    """
    if activations.ndim == 2:
        activations = activations[:, :, None, None]
    energy_map = optics.energy(activations)
    return Reduced(
        activations.float().mean(dim=(2, 3)).cpu().numpy(),
        _negative_share(activations).cpu().numpy(),
        energy_map.cpu().numpy(),
        optics.focus(energy_map).numpy(),
    )


def _negative_share(activations: Tensor) -> Tensor:
    """Return the share of negative activations per image, (B,); after a ReLU one pass finds none."""
    if activations.amin() >= 0:
        return activations.new_zeros(len(activations), dtype=torch.float64)
    return torch.count_nonzero(activations < 0, dim=(1, 2, 3)).double() / activations[0].numel()


class Batch(NamedTuple):
    """What one batch gives."""

    layers: dict[str, Reduced]
    head: np.ndarray | None  # (B,) labels by the model's own head, where they are the dataset's
    maps: np.ndarray | None  # (P, b, N) float16, the bottleneck's maps of the images asked for


class Extractor:
    """A truncated network with its preprocessing, ready to reduce batches of pixels."""

    def __init__(self, cell: Cell, runtime: Runtime) -> None:
        self.cell, self.runtime, self.variant = cell, runtime, VARIANTS[cell.variant]
        describe_path(cell.model)  # refuses layers that are not there or are overwritten, before any work
        network = build_network(cell.model, trained=self.variant.trained, models_dir=runtime.models_dir)
        network = network.to(runtime.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        head = (cell.model.head or "") if cell.head_matches else None
        self.network = Taps(network, cell.model.layers, head)
        self.preprocess = preprocessor(cell.model)

    def __call__(self, pixels: np.ndarray, located: np.ndarray | None = None) -> Batch:
        """Reduce pixels (B, H, W, C) uint8; of the images flagged in `located` (B,) keep the maps too."""
        with arithmetic(self.runtime.device, self.cell.precision):
            batch = self.variant.pixels(torch.from_numpy(pixels).to(self.runtime.device))
            inputs = self.variant.inputs(self.preprocess(batch))
            outputs = self.network(inputs.contiguous(memory_format=torch.channels_last))
            logits = outputs.pop("head", None)
            outputs = {name: self.variant.activations(outputs[name]) for name in self.cell.model.layers}
            layers = {name: reduce_layer(activations) for name, activations in outputs.items()}
            check_path(self.cell.model, {name: r.energy_map.shape[1:] for name, r in layers.items()})
            kept = None
            if located is not None and located.any():
                chosen = torch.from_numpy(located).to(self.runtime.device)
                kept = by_place(outputs[self.cell.model.bottleneck][chosen])
        return Batch(layers, None if logits is None else logits.argmax(dim=1).cpu().numpy(), kept)


def check_path(model: ModelEntry, sizes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise U1Error unless resolution falls along the layers and the bottleneck is the last above 1 x 1."""
    pixels = {name: math.prod(size) for name, size in sizes.items()}
    seen = list(pixels.values())
    focused = [name for name, count in pixels.items() if count > 1]
    if seen != sorted(seen, reverse=True) or focused[-1:] != [model.bottleneck]:
        path = ", ".join(f"{name} {'x'.join(map(str, size))}" for name, size in sizes.items())
        raise U1Error(
            f"the layers of {model.id} in order of falling resolution, the bottleneck the last above 1x1",
            f"{path}; bottleneck {model.bottleneck}",
            f"correct models.{model.id} in the catalog",
        )


def default_batch_size(pixels: int) -> int:
    """Return a batch that keeps activations near 300 MB: 256 at 32 px, 32 at 224 px."""
    return int(np.clip(32 * 224**2 // max(pixels, 1), 16, 256))


def extract(
    cell: Cell, images: Images, lake: Lake, runtime: Runtime, progress: Progress | None = None
) -> None:
    """Extract the parts of a cell that are not in the lake yet.

    Raises:
        U1Error: The network cannot be built, or not one image gave finite activations.
    """
    selection = select_images(images, cell.limit)
    parts = [selection[i : i + PART_IMAGES] for i in range(0, len(selection), PART_IMAGES)]
    missing = [number for number in range(len(parts)) if _finished_part(lake, cell, number) is None]
    done = len(selection) - sum(len(parts[number]) for number in missing)
    report = progress or (lambda done, total: None)
    report(done, len(selection))
    if missing:
        extractor = Extractor(cell, runtime)
    for number in missing:
        counter = functools.partial(_report_from, report, done, len(selection))
        _extract_part(extractor, images, parts[number], lake, number, counter)
        done += len(parts[number])
    if not (sums := load_sums(cell, images, lake)).rows:
        raise U1Error(
            "at least one image with finite activations",
            f"none of {sums.failures} for {cell}",
            "check the model's weights and preprocessing with `u1 catalog show`",
        )


def _report_from(report: Progress, offset: int, total: int, done: int) -> None:
    report(offset + done, total)


def load_sums(cell: Cell, images: Images, lake: Lake) -> PartSums:
    """Return the merged sums of a cell whose parts are all in the lake.

    Raises:
        U1Error: A part is missing: the cell was not extracted, or its state was deleted.
    """
    count = -(-len(select_images(images, cell.limit)) // PART_IMAGES)
    found = [sums for i in range(count) if (sums := _finished_part(lake, cell, i))]
    if not found or len(found) != count:
        raise U1Error(f"{count} extracted parts of {cell}", f"{len(found)}", "run `u1 sweep` again")
    return functools.reduce(PartSums.merge, found)


def _finished_part(lake: Lake, cell: Cell, number: int) -> PartSums | None:
    state = lake.load_state(cell.id, _state_name(number))
    return None if state is None else PartSums.from_bytes(state)


def _state_name(number: int) -> str:
    return f"part-{number:05d}.npz"


@dataclass
class _Part:
    """The rows of a part as they come in, batch by batch."""

    positions: list[np.ndarray]
    head: list[np.ndarray]
    layers: dict[str, list[tuple[Reduced, medial.Medial]]]
    failed: list[np.ndarray]
    maps: LocationMaps
    maps_writer: MapsWriter
    sums: PartSums | None = None


def _extract_part(
    extractor: Extractor,
    images: Images,
    part: np.ndarray,
    lake: Lake,
    number: int,
    report: Callable[[int], None],
) -> None:
    """Run one part and write it: records and vectors per layer, failures, and last its sums, its mark."""
    cell, start = extractor.cell, time.perf_counter()
    maps = LocationMaps(cell, images, lake)
    rows = _Part([], [], {name: [] for name in cell.model.layers}, [], maps, maps.writer(number))
    size = extractor.runtime.batch_size or default_batch_size(_input_pixels(extractor, images))
    for i in range(0, len(part), size):
        _add_batch(rows, extractor, images, part[i : i + size])
        report(min(i + size, len(part)))
    sums = rows.sums or PartSums({}, 0, 0, 0.0)
    _write_rows(rows, cell, images, lake, number)
    failed = np.concatenate(rows.failed) if rows.failed else np.empty(0, dtype=int)
    _write_failures(failed, cell, images, lake, number)
    rows.maps_writer.close()
    sums = PartSums(sums.layers, sums.rows, len(failed), time.perf_counter() - start)
    lake.save_state(cell.id, _state_name(number), sums.to_bytes())


def _input_pixels(extractor: Extractor, images: Images) -> int:
    sample = extractor.preprocess(torch.from_numpy(np.array(images.pixels[:1])))
    return sample.shape[2] * sample.shape[3]


def _add_batch(rows: _Part, extractor: Extractor, images: Images, batch: np.ndarray) -> None:
    """Add a batch; images with an activation that is not finite are set aside as failures."""
    located = rows.maps.wanted(batch)
    layers, head, maps = extractor(np.array(images.pixels[batch]), located)
    finite = np.all([np.isfinite(r.focus["energy_total"]) for r in layers.values()], axis=0)
    rows.failed.append(batch[~finite])
    kept = batch[finite]
    label, is_query = images.labels[kept], images.is_query[kept]
    rows.positions.append(kept)
    if head is not None:
        rows.head.append(head[finite])
    if maps is not None:
        rows.maps_writer.write(batch[located & finite], maps[:, finite[located]])
    sums = {}
    for name, reduced in layers.items():
        reduced = _keep(reduced, finite)
        parts = medial.decompose(reduced.pooled)
        is_bottleneck = name == extractor.cell.model.bottleneck
        dipole = np.stack([reduced.focus["dipole_x"], reduced.focus["dipole_y"]], axis=1)
        sums[name] = LayerSums.of(
            reduced.energy_map,
            parts.chroma,
            dipole,
            label,
            is_query,
            len(images.class_names),
            per_class=is_bottleneck,
        )
        empty = reduced.energy_map[:0]
        rows.layers[name].append((reduced if is_bottleneck else _without_map(reduced, empty), parts))
    batch_sums = PartSums(sums, len(kept), 0, 0.0)
    rows.sums = batch_sums if rows.sums is None else rows.sums.merge(batch_sums)


def _keep(reduced: Reduced, finite: np.ndarray) -> Reduced:
    focus = {name: values[finite] for name, values in reduced.focus.items()}
    return Reduced(reduced.pooled[finite], reduced.negative_share[finite], reduced.energy_map[finite], focus)


def _without_map(reduced: Reduced, empty: np.ndarray) -> Reduced:
    return Reduced(reduced.pooled, reduced.negative_share, empty, reduced.focus)


def _image_columns(images: Images, positions: np.ndarray) -> dict[str, np.ndarray]:
    """Return the columns that say which image a row is about."""
    return {
        "image_id": images.image_ids[positions],
        "split": np.array(SPLITS)[images.is_query[positions].astype(int)],
        "label": images.labels[positions],
        "class_name": np.array(images.class_names)[images.labels[positions]],
    }


def _write_rows(rows: _Part, cell: Cell, images: Images, lake: Lake, number: int) -> None:
    positions = np.concatenate(rows.positions)
    keys = _image_columns(images, positions)
    head = np.concatenate(rows.head) if rows.head else None
    heads = {} if head is None else {"head_label": head, "head_correct": head == keys["label"]}
    for name, batches in rows.layers.items():
        pooled = np.concatenate([r.pooled for r, _ in batches])
        maps = np.concatenate([r.energy_map for r, _ in batches])
        records = {
            **keys,
            **{f: np.concatenate([r.focus[f] for r, _ in batches]) for f in batches[0][0].focus},
            "negative_share": np.concatenate([r.negative_share for r, _ in batches]),
            "pooled_norm": np.concatenate([m.norm for _, m in batches]),
            "axial": np.concatenate([m.axial for _, m in batches]),
            "polar_angle_rad": np.concatenate([m.polar_angle_rad for _, m in batches]),
            **heads,
        }
        vectors = {**keys, "pooled": list_column(pooled)}
        if len(maps):
            vectors["energy_map"] = list_column(maps.reshape(len(maps), -1).astype(np.float32))
        lake.write("vectors", cell.id, vectors, layer=name, part=number)
        lake.write("records", cell.id, records, layer=name, part=number)


def _write_failures(failed: np.ndarray, cell: Cell, images: Images, lake: Lake, number: int) -> None:
    if not len(failed):
        return
    reason = ["activations that are not finite"] * len(failed)
    columns = {**_image_columns(images, failed), "stage": ["forward"] * len(failed), "error": reason}
    lake.write("failures", cell.id, columns, part=number)
