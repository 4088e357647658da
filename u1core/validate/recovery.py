"""Is what was planted found again? Activations with a known answer, through the product's own functions.

Shape legend: B images, N channels, H x W pixels, C classes. Images lie in both splits; what is reported is
the query, which no fit has seen.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
import torch

from u1core.measures import medial
from u1core.measures.frames import feature_plane, fit_frame, image_plane
from u1core.measures.optics import fit_sombrero
from u1core.measures.pixel_grid import UNIFORM_EE50_RADIUS
from u1core.measures.reduce import reduce_layer
from u1core.measures.sums import SPLITS, LayerSums
from u1core.validate.angles import ask, clear, insert, wrap
from u1core.validate.outcome import Finding, Outcome, Size, close

_KEYS = {"cell_key": "k", "dataset": "generated", "model": "generated", "variant": "original"}


@dataclass(frozen=True)
class Measured:
    """Activations as a sweep measures them, each field (B,) or a sum over images."""

    focus: dict[str, np.ndarray]
    polar_angle: np.ndarray
    sums: LayerSums
    theta_image: np.ndarray
    theta_feature: np.ndarray


def measure(activations: np.ndarray, label: np.ndarray, is_query: np.ndarray, *, batch: int = 64) -> Measured:
    """Reduce activations (B, N, H, W) batch by batch, fit the frame to the memory split, give all angles."""
    batches = [slice(i, i + batch) for i in range(0, len(label), batch)]
    reduced = [reduce_layer(torch.from_numpy(activations[b])) for b in batches]
    focus = {name: np.concatenate([r.focus[name] for r in reduced]) for name in reduced[0].focus}
    split = medial.decompose(np.concatenate([r.pooled for r in reduced]))
    dipole = np.stack([focus["dipole_x"], focus["dipole_y"]], axis=1)
    sums = functools.reduce(
        LayerSums.merge,
        (
            LayerSums.of(
                r.energy_map,
                split.chroma[b],
                dipole[b],
                label[b],
                is_query[b],
                int(label.max()) + 1,
                per_class=False,
            )
            for r, b in zip(reduced, batches, strict=True)
        ),
    )
    frame = fit_frame(sums.moments)
    return Measured(
        focus,
        split.polar_angle_rad,
        sums,
        image_plane(frame, dipole)[0],
        feature_plane(frame, split.chroma)[0],
    )


def planted_angles(connection: duckdb.DuckDBPyConnection, size: Size, rng: np.random.Generator) -> Outcome:
    """Plant a blob and a channel pattern at the same angle; find it in both planes.

    The mean map is off centre, the mean pattern is not grey, and the radii differ with the angle, so that
    the coupling has an axis of its own: without centring, with y down or in another frame all angles show it.
    """
    planted = wrap(np.deg2rad(20.0) + 2 * np.pi / 7 * np.arange(7))
    label = np.tile(np.arange(7), 2 * size.images)
    is_query = np.arange(len(label)) >= len(label) // 2
    # The same scatter to both sides in every class and split: class means are then exactly what is planted.
    scatter = rng.vonmises(0.0, 8.0, size.images // 2)
    scatter = np.tile(np.repeat(np.concatenate([scatter, -scatter]), 7), 2)
    measured = measure(_blobs(planted[label], scatter, rng), label, is_query)
    _insert_angles(connection, measured, label, is_query)
    found = ask(connection, "select * from class_directions where split = 'query' order by plane desc, label")
    planes = ask(connection, "select agreement, permutation_p from plane_agreement where split = 'query'")
    errors = np.degrees(np.abs(wrap(found["mean_direction_rad"] - np.tile(planted, 2))))
    return Outcome(
        [
            close("planted angles, image plane", errors[:7].max(), 1.0, " deg"),
            close("planted angles, feature plane", errors[7:].max(), 1.0, " deg"),
            close("agreement of the planes is 1", 1 - float(planes["agreement"][0]), 1e-3),
            close("permutation p of that agreement", float(planes["permutation_p"][0]), 1e-3),
        ]
    )


def _blobs(angle: np.ndarray, scatter: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return activations (B, 24, 8, 8) whose blob and pattern sit at angle + scatter, (B,) each."""
    radius = 0.35 + 0.1 * np.cos(2 * (angle - np.deg2rad(30.0)))
    place = radius * np.exp(1j * (angle + scatter))
    x, y = _grid(8)
    blob = np.exp(-(np.abs(x + 1j * y - place[:, None, None]) ** 2) / (2 * 0.22**2))
    background = 1 + 0.5 * x - 0.3 * y
    energy = blob / blob.sum(axis=(1, 2), keepdims=True) + background / background.sum()
    # Orthonormal: the medial vector, the two axes of the pattern, and a third for the lean away from grey.
    frame, _ = np.linalg.qr(np.column_stack([np.ones(24), rng.normal(size=(24, 3))]))
    pattern = 8.0 * np.abs(frame[:, 0]) + frame @ [0, 0.3, 0.1, 0.3]
    pattern = pattern + np.outer(place.real, frame[:, 1]) + np.outer(place.imag, frame[:, 2])
    brightness = rng.uniform(0.5, 2.0, len(angle))
    activations: np.ndarray = np.einsum("b,bn,bhw->bnhw", brightness, pattern, np.sqrt(energy))
    return activations.astype(np.float32)


def _grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x to the right and y up of the pixel centres, (S, S) each, not asked of the product."""
    ticks = np.arange(1 - side, side, 2) / side
    x, y = np.meshgrid(ticks, -ticks)
    return x, y


def _insert_angles(
    connection: duckdb.DuckDBPyConnection, measured: Measured, label: np.ndarray, is_query: np.ndarray
) -> None:
    rows = {
        "image_id": np.arange(len(label)),
        "split": np.array(SPLITS)[is_query.astype(int)],
        "label": label,
        "theta_image_rad": measured.theta_image,
        "theta_feature_rad": measured.theta_feature,
    }
    clear(connection)
    _insert_cell(connection)
    insert(connection, "angles", pa.table(rows), layer="last", **_KEYS)


def _insert_cell(connection: duckdb.DuckDBPyConnection) -> None:
    insert(connection, "cells", pa.table({"layers": [["last"]]}), status="done", bottleneck="last", **_KEYS)


def optics(connection: duckdb.DuckDBPyConnection, size: Size, rng: np.random.Generator) -> Outcome:
    """Measure maps and vectors whose radii, openings and coefficients are known."""
    x, y = _grid(64)
    disc = (np.hypot(x, y) < 0.6).astype(np.float32)
    stack = np.stack([disc, np.ones((64, 64), np.float32), np.exp(-4 * (x**2 + y**2)).astype(np.float32)])
    focus = reduce_layer(torch.from_numpy(stack[:, None])).focus
    # Vectors (1,1,1), (1,0,0) and (2,1,0): 0, arccos(1/sqrt 3) and arccos(3/sqrt 15).
    vectors = np.array([[1, 1, 1], [1, 0, 0], [2, 1, 0]])
    polar = medial.decompose(vectors).polar_angle_rad
    opening = np.arccos(np.minimum(1.0, vectors.sum(axis=1) / np.sqrt(3 * (vectors**2).sum(axis=1))))
    return Outcome(
        [
            close("EE50 of a disc of radius 0.6", abs(focus["ee50_radius"][0] - 0.6 * 0.5**0.5), 0.01),
            close("EE80 of a disc of radius 0.6", abs(focus["ee80_radius"][0] - 0.6 * 0.8**0.5), 0.01),
            close("EE50 of uniform light", abs(focus["ee50_radius"][1] - UNIFORM_EE50_RADIUS), 0.002),
            close("anisotropy of a round map", float(focus["anisotropy"][2]), 1e-6),
            close("polar angle of known vectors", np.abs(polar - opening).max(), 1e-7, " rad"),
            *_known_quartics(connection),
        ]
    )


def _known_quartics(connection: duckdb.DuckDBPyConnection) -> list[Finding]:
    """Fit E(r) = a - b r^2 + c r^4 with its trough inside and outside the image, and read the verdicts."""
    quartics = {"hat": (9.0, 8.0, 8.0), "dome": (9.0, 11.0, 3.8)}
    worst, shapes = 0.0, []
    for a, b, c in quartics.values():
        r2 = np.square(_grid(16)).sum(axis=0)
        activations = np.sqrt(a - b * r2 + c * r2**2).astype(np.float32)[None, None].repeat(4, axis=0)
        sums = measure(activations, np.zeros(4, dtype=int), np.array([False, False, True, True])).sums
        fit = fit_sombrero(sums.energy[1] / sums.count[1].sum())
        worst = max(worst, *np.abs(np.subtract((fit.a, fit.b, fit.c), (a, b, c))))
        shapes.append(_shape_in_sql(connection, fit.b, fit.trough_radius))
    return [
        close("Sombrero coefficients of known quartics", worst, 1e-4),
        Finding("their shapes", ", ".join(quartics), ", ".join(shapes), shapes == list(quartics)),
    ]


def _shape_in_sql(connection: duckdb.DuckDBPyConnection, b: float, trough_radius: float | None) -> str:
    row = {"sombrero_b": [b], "trough_radius": pa.array([trough_radius], pa.float64())}
    clear(connection)
    _insert_cell(connection)
    insert(connection, "energy_maps", pa.table(row), layer="last", split="query", **_KEYS)
    return str(ask(connection, "select shape from sombrero")["shape"][0])


_TURNS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]] = {
    "a quarter turn adds pi/2": (lambda a: np.rot90(a, axes=(2, 3)), lambda theta: theta + np.pi / 2),
    "a mirror gives pi - theta": (lambda a: a[:, :, :, ::-1], lambda theta: np.pi - theta),
    "permuted channels change nothing": (lambda a: a[:, ::-1], lambda theta: theta),
    "a scale changes nothing": (lambda a: 3 * a, lambda theta: theta),
}


def symmetries(connection: duckdb.DuckDBPyConnection, size: Size, rng: np.random.Generator) -> Outcome:
    """Turn, mirror, permute and scale activations: angles follow, in both planes, the frame fitted anew."""
    activations = rng.gamma(1.0, 1.0, (80, 16, 8, 8)).astype(np.float32)
    label, is_query = np.zeros(80, dtype=int), np.arange(80) % 2 == 1
    before = measure(activations, label, is_query)
    findings = []
    for name, (turn, expected) in _TURNS.items():
        after = measure(np.ascontiguousarray(turn(activations)), label, is_query)
        for plane in ("image", "feature"):
            was, now = (getattr(m, f"theta_{plane}") for m in (before, after))
            findings.append(
                close(f"{name}, {plane} plane", np.abs(wrap(now - expected(was))).max(), 1e-4, " rad")
            )
    apart = measure(activations, label, is_query, batch=7).theta_feature - before.theta_feature
    findings.append(close("smaller batches change nothing", np.abs(wrap(apart)).max(), 1e-4, " rad"))
    return Outcome(findings)
