"""From activations to what the lake records, on the device: one pass over each layer, little to carry off it.

Shape legend: B images of a batch, n images of a part, N channels, H x W pixels, S = 2 splits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from u1core.measures import optics

CACHED_NUMBERS = 2_000_000
"""Activations reduced at a time on a CPU: 8 MB of float32 stay in its cache while they are read twice."""

GROUP_IMAGES = {"cpu": 64, "cuda": 256}
"""Images whose energy maps are measured at a time: `optics.focus` is forty small operations."""


class Collapsed(NamedTuple):
    """One layer of one batch after the pass over its activations; on the device."""

    energy: Tensor  # (B, H, W) float64
    pooled: Tensor  # (B, N) float32
    negative_share: Tensor  # (B,) float64


@dataclass(frozen=True)
class Reduced:
    """One layer of some images, reduced: what leaves the device."""

    pooled: np.ndarray  # (n, N) float32
    negative_share: np.ndarray  # (n,)
    energy_map: np.ndarray  # (n, H, W) float64; (0, H, W) where maps are not kept
    focus: dict[str, np.ndarray]  # (n,) each

    @property
    def is_finite(self) -> np.ndarray:
        """Tell of every image whether its numbers are finite in the types that tables hold, (n,)."""
        finite: np.ndarray = np.isfinite(self.focus["energy_total"]) & np.isfinite(self.pooled).all(axis=1)
        if len(self.energy_map):
            finite &= (self.energy_map <= np.finfo(np.float32).max).all(axis=(1, 2))
        return finite

    @classmethod
    def join(cls, parts: list[Reduced]) -> Reduced:
        """Put images one after the other."""
        return cls(
            np.concatenate([p.pooled for p in parts]),
            np.concatenate([p.negative_share for p in parts]),
            np.concatenate([p.energy_map for p in parts]),
            {name: np.concatenate([p.focus[name] for p in parts]) for name in parts[0].focus},
        )

    def keep(self, chosen: np.ndarray) -> Reduced:
        """Return some of the images, chosen by flags (n,)."""
        maps = self.energy_map[chosen] if len(self.energy_map) else self.energy_map
        focus = {name: values[chosen] for name, values in self.focus.items()}
        return Reduced(self.pooled[chosen], self.negative_share[chosen], maps, focus)


def collapse(activations: Tensor, *, signed: bool = True) -> Collapsed:
    """Sum activations over channels and over places.

    Args:
        activations: A, (B, N, H, W), any floating type. What a global pool gives without its two axes,
            (B, N), is a map of 1 x 1.
        signed: Whether they can be negative; where not, by construction, nothing is counted.

    Returns:
        E(x,y) = sum_n A_n(x,y)^2, p = mean of A over (x,y) and the share of A that is negative.

    Example:
        >>> A = torch.tensor([[[[3.0, 0.0], [0.0, -1.0]], [[4.0, 0.0], [0.0, 0.0]]]])
        >>> energy, pooled, negative_share = collapse(A)
        >>> energy.tolist(), pooled.tolist(), negative_share.tolist()
        ([[[25.0, 0.0], [0.0, 1.0]]], [[0.5, 1.0]], [0.125])
    """
    if activations.ndim == 2:
        activations = activations[:, :, None, None]
    images, channels, height, width = activations.shape
    places = activations.permute(0, 2, 3, 1).reshape(images, height * width, channels)
    step = images
    if places.device.type == "cpu":
        step = max(2, CACHED_NUMBERS // max(places[:1].numel(), 1))  # one alone is not shared among threads
    workspace = places.new_empty((min(step, images), *places.shape[1:]), dtype=torch.float32)
    energy = places.new_empty(places.shape[:2], dtype=torch.float64)
    pooled = places.new_empty((images, channels), dtype=torch.float32)
    negative = places.new_zeros(images, dtype=torch.float64)
    for start in range(0, images, step):
        some = slice(start, start + step)
        numbers = places[some]
        work = workspace[: len(numbers)]
        if numbers.dtype != torch.float32:
            numbers = work.copy_(numbers)
        energy[some] = optics.energy(numbers, dim=2)
        torch.mean(numbers, dim=1, out=pooled[some])
        if signed:
            negative[some] = _negative_share(numbers, work)
    if places.device.type != "cpu":
        # Their squares were none in float32: to be told, not taken for darkness.
        is_lost = (energy.amax(dim=1) < optics.FLOAT32_NORMS[0] ** 2) & pooled.any(dim=1)
        energy = energy.masked_fill(is_lost[:, None], torch.nan)
    return Collapsed(energy.view(images, height, width), pooled, negative)


def _negative_share(places: Tensor, work: Tensor) -> Tensor:
    """Return the share of negative activations per image, (B,).

    `work`, which may be `places` themselves, is overwritten. After a ReLU one look finds none; a GPU counts
    at once, because an answer would stop its queue. Ones are summed as float32, four times as fast as
    counting, and exact up to 16 million a map.
    """
    if places.device.type == "cpu" and places.amin() >= 0:
        return places.new_zeros(len(places), dtype=torch.float64)
    return torch.lt(places, 0, out=work).sum(dim=(1, 2)).double() / places[0].numel()


def measure(collapsed: Collapsed, *, with_maps: bool = True) -> Reduced:
    """Measure the energy maps and bring everything to the host.

    Args:
        collapsed: On the device.
        with_maps: Whether the energy maps come along.

    Example:
        >>> A = torch.ones(5, 2, 4, 4)
        >>> measure(collapse(A)).energy_map.shape, measure(collapse(A), with_maps=False).energy_map.shape
        ((5, 4, 4), (0, 4, 4))
    """
    focus = optics.focus(collapsed.energy).numpy()
    maps = collapsed.energy if with_maps else collapsed.energy[:0]
    pooled, negative_share = collapsed.pooled.cpu().numpy(), collapsed.negative_share.cpu().numpy()
    return Reduced(pooled, negative_share, maps.cpu().numpy(), focus)


def reduce_layer(activations: Tensor) -> Reduced:
    """Reduce activations to what the lake records.

    Args:
        activations: A, (B, N, H, W), any floating type.

    Example:
        The image that docs/method.md works by hand:

        >>> A = torch.tensor([[[[0.0, 2.0], [0.0, 0.0]], [[0.0, 1.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]])
        >>> reduced = reduce_layer(A)
        >>> {name: reduced.focus[name].round(4).tolist() for name in ("energy_total", "dipole_x", "dipole_y")}
        {'energy_total': [5.0], 'dipole_x': [0.5], 'dipole_y': [0.5]}
        >>> reduced.pooled.tolist()
        [[0.5, 0.25, 0.0]]
    """
    return measure(collapse(activations))


class PartReducer:
    """Collects the batches of one part; memory holds a group of energy maps and the reduced rows.

    Args:
        layers: Their names, in order.
        bottleneck: The layer whose energy maps are kept.
    """

    def __init__(self, layers: tuple[str, ...], bottleneck: str) -> None:
        self.layers, self.bottleneck = layers, bottleneck
        self._device = "cpu"
        self._group: list[tuple[dict[str, Collapsed], Tensor | None, np.ndarray, np.ndarray]] = []
        self._reduced: dict[str, list[Reduced]] = {name: [] for name in layers}
        self._energy: dict[str, np.ndarray | float] = dict.fromkeys(layers, 0.0)
        self._head: list[np.ndarray] = []
        self._positions: list[np.ndarray] = []
        self._finite: list[np.ndarray] = []

    @property
    def is_empty(self) -> bool:
        """Whether no batch has come yet."""
        return not (self._group or self._positions)

    def add(
        self,
        layers: Mapping[str, Collapsed],
        head: Tensor | None,
        positions: np.ndarray,
        is_query: np.ndarray,
    ) -> None:
        """Add a batch: collapsed layers, labels by the model's own head (B,), positions and splits (B,).

        A label of -1 stands for logits that are not finite.
        """
        self._group.append((dict(layers), head, positions, is_query))
        self._device = next(iter(layers.values())).energy.device.type

    @property
    def is_due(self) -> bool:
        """Whether enough batches have come that they should be measured."""
        waiting = sum(len(positions) for _, _, positions, _ in self._group)
        return waiting >= GROUP_IMAGES.get(self._device, 64)

    def measure(self) -> None:
        """Measure the batches that have come since the last time; waits for the device."""
        if not self._group:
            return
        batches, heads, positions, splits = zip(*self._group, strict=True)
        joined = {
            name: Collapsed(*(torch.cat(c) for c in zip(*(b[name] for b in batches), strict=True)))
            for name in self.layers
        }
        reduced = {name: measure(joined[name], with_maps=name == self.bottleneck) for name in self.layers}
        finite = np.all([r.is_finite for r in reduced.values()], axis=0)
        if heads[0] is not None:
            self._head.append(torch.cat(heads).cpu().numpy())
            finite &= self._head[-1] >= 0
        # One-hot rows turn the sums over splits into a product; a map with a NaN would spoil both.
        split = torch.from_numpy(np.eye(2)[np.concatenate(splits).astype(int)] * finite[:, None])
        for name, layer in reduced.items():
            energy = joined[name].energy
            clean = torch.where(torch.from_numpy(finite).to(energy.device)[:, None, None], energy, 0.0)
            self._energy[name] += torch.tensordot(split.T.to(energy.device), clean, dims=1).cpu().numpy()
            self._reduced[name].append(layer)
        self._positions.append(np.concatenate(positions))
        self._finite.append(finite)
        self._group.clear()

    def finish(self) -> PartRows:
        """Return the rows; images with an activation or a logit that is not finite are set aside."""
        self.measure()
        if not self._positions:
            return PartRows(np.empty(0, np.int64), np.empty(0, np.int64), None, {}, {})
        finite, positions = np.concatenate(self._finite), np.concatenate(self._positions)
        head = np.concatenate(self._head)[finite] if self._head else None
        layers = {name: Reduced.join(parts).keep(finite) for name, parts in self._reduced.items()}
        energy = {name: np.asarray(sums) for name, sums in self._energy.items()}
        return PartRows(positions[finite], positions[~finite], head, layers, energy)


@dataclass(frozen=True)
class PartRows:
    """A part, reduced.

    Attributes:
        positions: Images recorded, positions in the dataset (n,).
        failed: Images with an activation or a logit that is not finite.
        head: Labels by the model's own head (n,), or None.
        layers: By name; energy maps at the bottleneck only.
        energy: Sum of E per split (S, H, W), by layer.
    """

    positions: np.ndarray
    failed: np.ndarray
    head: np.ndarray | None
    layers: dict[str, Reduced]
    energy: dict[str, np.ndarray]
