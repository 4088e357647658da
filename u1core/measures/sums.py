"""What a cell accumulates over its images besides one row each: energy sums and frame co-moments.

Everything is float64 and mergeable, part by part in part order, so a cell resumed after a crash ends in
the same numbers. Shape legend: S = 2 splits (memory, query), C classes, N channels, H x W pixels.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from u1core.common.clock import PHASES
from u1core.measures.frames import CoMoments

SPLITS = ("memory", "query")


@dataclass(frozen=True)
class LayerSums:
    """Sums over the images of one layer.

    Attributes:
        count: Images per split and class, (S, C).
        energy: Sum of E per split, (S, H, W).
        class_energy: Sum of E per split and class, (S, C, H, W); C = 0 where classes are not kept.
        moments: Co-moments of chroma and dipole over the memory split, labels unused.
    """

    count: np.ndarray
    energy: np.ndarray
    class_energy: np.ndarray
    moments: CoMoments

    @classmethod
    def of(
        cls,
        energy_map: np.ndarray,
        chroma: np.ndarray,
        dipole: np.ndarray,
        label: np.ndarray,
        is_query: np.ndarray,
        classes: int,
        *,
        per_class: bool,
    ) -> LayerSums:
        """Accumulate images: E (B, H, W), chroma (B, N), dipole (B, 2), label (B,), is_query (B,)."""
        # One-hot rows (B, S) turn the grouped sum into a matrix product.
        energy = np.tensordot(np.eye(2)[is_query.astype(int)].T, energy_map, axes=1)
        kept = energy_map if per_class else None
        return cls.of_summed(energy, kept, chroma, dipole, label, is_query, classes)

    @classmethod
    def of_summed(
        cls,
        energy: np.ndarray,
        energy_map: np.ndarray | None,
        chroma: np.ndarray,
        dipole: np.ndarray,
        label: np.ndarray,
        is_query: np.ndarray,
        classes: int,
    ) -> LayerSums:
        """Accumulate images whose energy (S, H, W) is summed already.

        Args:
            energy: Sum of E per split, (S, H, W).
            energy_map: E (B, H, W) where classes are kept, else None.
            chroma: (B, N).
            dipole: (B, 2), half images.
            label: (B,).
            is_query: (B,).
            classes: How many there are.
        """
        split = is_query.astype(int)
        count = np.zeros((2, classes), dtype=np.int64)
        np.add.at(count, (split, label), 1)
        class_energy = np.zeros((2, 0 if energy_map is None else classes, *energy.shape[1:]))
        if energy_map is not None:
            np.add.at(class_energy, (split, label), energy_map)
        return cls(count, energy, class_energy, CoMoments.of(chroma[~is_query], dipole[~is_query]))

    def named(self) -> dict[str, object]:
        """Return every number by its name, the co-moments' among them."""
        own = {field: value for field, value in vars(self).items() if field != "moments"}
        return own | vars(self.moments)

    @classmethod
    def of_named(cls, fields: Mapping[str, np.ndarray]) -> LayerSums:
        """Return the sums that `named` gave."""
        own = {field: fields[field] for field in ("count", "energy", "class_energy")}
        rest = {field: values for field, values in fields.items() if field not in own}
        return cls(**own, moments=CoMoments(**rest | {"n": int(rest["n"])}))  # type: ignore[arg-type]

    def merge(self, other: LayerSums) -> LayerSums:
        """Return the sums of both sets of images together."""
        return LayerSums(
            self.count + other.count,
            self.energy + other.energy,
            self.class_energy + other.class_energy,
            self.moments.merge(other.moments),
        )


@dataclass(frozen=True)
class Timing:
    """What the extraction of some images took.

    Attributes:
        seconds: Wall time.
        phases: Seconds by phase (`u1core.common.clock.PHASES`); threads overlap, so they may add up to more.
        batch_size: Images per forward pass, the smallest where it had to be halved.
        execution: How forward passes ran, in words.
        canary: Largest relative difference between rows alone and in a batch (`u1core.cells.canary`); None
            where nobody looked.
    """

    seconds: float
    phases: tuple[float, ...] = (0.0,) * len(PHASES)
    batch_size: int = 0
    execution: str = ""
    canary: float | None = None

    def plus(self, other: Timing) -> Timing:
        """Return both, one after the other."""
        phases = tuple(a + b for a, b in zip(self.phases, other.phases, strict=True))
        sizes = [size for size in (self.batch_size, other.batch_size) if size]
        execution = other.execution or self.execution
        canaries = [found for found in (self.canary, other.canary) if found is not None]
        canary = max(canaries, default=None)
        return Timing(self.seconds + other.seconds, phases, min(sizes, default=0), execution, canary)


@dataclass(frozen=True)
class PartSums:
    """What one finished part adds to its cell.

    Attributes:
        layers: Sums by layer; empty where not one image gave pixels.
        rows: Images recorded.
        failures: Images that failed.
        timing: What the part took.
    """

    layers: dict[str, LayerSums]
    rows: int
    failures: int
    timing: Timing

    def merge(self, other: PartSums) -> PartSums:
        """Return the sums of both parts together; both cover the same layers, or one covers none."""
        both = self.layers and other.layers
        layers = (
            {name: sums.merge(other.layers[name]) for name, sums in self.layers.items()} if both else None
        )
        return PartSums(
            layers or self.layers or other.layers,
            self.rows + other.rows,
            self.failures + other.failures,
            self.timing.plus(other.timing),
        )

    def to_bytes(self) -> bytes:
        """Serialise as an .npz archive of arrays named `<layer>|<field>`, those of the part `|<field>`."""
        told = {field: value for field, value in vars(self.timing).items() if value is not None}
        part = {"rows": self.rows, "failures": self.failures, **told}
        named = {"": part} | {layer: sums.named() for layer, sums in self.layers.items()}
        arrays = {
            f"{layer}|{field}": np.asarray(value)
            for layer, fields in named.items()
            for field, value in fields.items()
        }
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        return buffer.getvalue()

    @classmethod
    def from_former(cls, content: bytes) -> PartSums:
        """Read what was written before the sums had names: nine arrays of a layer in this order."""
        order = ("count", "energy", "class_energy", *(f.name for f in fields(CoMoments)))
        with np.load(io.BytesIO(content)) as archive:
            names = dict.fromkeys(key.rpartition("|")[0] for key in archive.files if "|" in key)
            layers = {
                name: LayerSums.of_named({field: archive[f"{name}|{i}"] for i, field in enumerate(order)})
                for name in names
            }
            rows, failures, batch_size, seconds, *phases = archive["totals"].tolist()
            timing = Timing(seconds, tuple(phases), int(batch_size), str(archive["execution"]))
        return cls(layers, int(rows), int(failures), timing)

    @classmethod
    def from_bytes(cls, content: bytes) -> PartSums:
        """Read what `to_bytes` wrote."""
        named: dict[str, dict[str, np.ndarray]] = {}
        with np.load(io.BytesIO(content)) as archive:
            for name in archive.files:
                layer, _, field = name.rpartition("|")
                named.setdefault(layer, {})[field] = archive[name]
        part = {field: value.tolist() for field, value in named.pop("").items()}
        rows, failures, phases = part.pop("rows"), part.pop("failures"), tuple(part.pop("phases"))
        layers = {layer: LayerSums.of_named(fields) for layer, fields in named.items()}
        return cls(layers, rows, failures, Timing(phases=phases, **part))
