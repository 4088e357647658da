"""The pipeline in float32 against tests/u1core/cells/reference.py on the same network in float64."""

import dataclasses
import math
import os

import numpy as np
import pytest
import reference
import torch
from test_extract import rows, run

from u1core.cells.cell import Cell
from u1core.cells.forward import Extractor
from u1core.common.runtime import Runtime
from u1core.lake.store import Lake
from u1core.measures import optics

LAYERS = ("layer1", "layer2", "layer3", "mean")
EVERY_MEASURE = {
    "energy_total": lambda A, E: E.sum(),
    "dipole_x": lambda A, E: reference.dipole(E).real,
    "dipole_y": lambda A, E: reference.dipole(E).imag,
    "quadrupole_x": lambda A, E: reference.quadrupole(E)[0],
    "quadrupole_y": lambda A, E: reference.quadrupole(E)[1],
    "anisotropy": lambda A, E: reference.anisotropy(E),
    "negative_share": lambda A, E: (A < 0).mean(),
    "pooled_norm": lambda A, E: np.linalg.norm(reference.pooled(A)),
    "axial": lambda A, E: reference.axial(reference.pooled(A)),
    "polar_angle_rad": lambda A, E: reference.polar_angle(reference.pooled(A)),
}
ENCIRCLED = {
    "ee50_radius": lambda E: reference.encircling_radius(E, 0.5),
    "ee80_radius": lambda E: reference.encircling_radius(E, 0.8),
    "centre_density_ratio": reference.centre_density_ratio,
}
SOMBRERO = ("sombrero_a", "sombrero_b", "sombrero_c")


class Both:
    """The same images through the pipeline (a lake) and through the reference (activations in float64)."""

    def __init__(self, cell, images, lake):
        self.lake, self.trained = lake, cell.variant == "original"
        self.in_memory, self.labels = ~images.is_query, images.labels
        self.activations = activations_in_float64(cell, images.pixels)
        self.energy = {layer: [reference.energy(A) for A in self.activations[layer]] for layer in LAYERS}
        self.pooled = {layer: [reference.pooled(A) for A in self.activations[layer]] for layer in LAYERS}
        self.chroma = {layer: [reference.chroma(p) for p in self.pooled[layer]] for layer in LAYERS}
        self.dipole = {layer: [reference.dipole(E) for E in self.energy[layer]] for layer in LAYERS}
        self.image_ids = images.image_ids.tolist()

    def memory(self, values):
        return [value for value, inside in zip(values, self.in_memory, strict=True) if inside]

    def query(self, values):
        return [value for value, inside in zip(values, self.in_memory, strict=True) if not inside]

    def frame(self, layer):
        return reference.Frame(self.memory(self.chroma[layer]), self.memory(self.dipole[layer]))

    def stored(self, table, layer):
        """Rows of one layer, in image order where they are about images."""
        found = rows(self.lake, table, layer)
        return sorted(found, key=lambda row: row["image_id"])

    def stored_frame(self, layer):
        return next(row for row in rows(self.lake, "frames") if row["layer"] == layer)


def large_digits(digits):
    """70 digits at 32 x 32, every pixel sixteen times: no resizing stands between picture and network."""
    memory, query = np.flatnonzero(~digits.is_query), np.flatnonzero(digits.is_query)
    chosen = np.sort(np.r_[memory[:40], query[:30]])
    return dataclasses.replace(
        digits,
        pixels=np.array(digits.pixels[chosen]).repeat(4, axis=1).repeat(4, axis=2),
        labels=digits.labels[chosen],
        is_query=digits.is_query[chosen],
        image_ids=digits.image_ids[chosen],
        found=len(chosen),
        digests=None,
    )


def activations_in_float64(cell, pixels):
    """Every layer's activations (n, N, H, W) by the cell's network, all in float64 from the pictures on."""
    numbers = cell.model.preprocessing
    colours = np.repeat(pixels.astype(np.float64), 3 // pixels.shape[3], axis=3)
    inputs = (colours / 255 - np.array(numbers.mean)) / np.array(numbers.std)
    network = Extractor(cell, Runtime()).network.double()
    with torch.inference_mode():
        outputs = network(torch.from_numpy(inputs).permute(0, 3, 1, 2))
    maps = {name: outputs[name].numpy() for name in LAYERS}
    return {name: A if A.ndim == 4 else A[:, :, None, None] for name, A in maps.items()}


@pytest.fixture(scope="module", params=["random-init", "original"])
def both(request, catalog, digits, tmp_path_factory):
    if request.param == "original" and "U1_MODELS" not in os.environ:
        pytest.skip("U1_MODELS is not set")
    images, model = large_digits(digits), catalog.models["cifar10_resnet20"]
    cell = Cell(model, catalog.datasets["digits"], digits.fingerprint, request.param, location_limit=40)
    lake = run(cell, images, Lake.open(tmp_path_factory.mktemp("reference") / "lake", create=True))
    return Both(cell, images, lake)


def close(found, expected, *, of, relative=1e-5):
    """Assert a column within 1e-5 of the largest value of its kind; null exactly where the reference is."""
    assert [value is None for value in found] == [value is None for value in expected]
    pairs = [(a, b) for a, b in zip(found, expected, strict=True) if a is not None]
    scale = max((abs(b) for _, b in pairs), default=0.0)
    worst = max((abs(a - b) for a, b in pairs), default=0.0)
    assert worst <= relative * max(scale, 1e-3), f"{of}: off by {worst:.2e} of {scale:.2e}"


@pytest.mark.parametrize("layer", LAYERS)
def test_measures_of_single_images(both, layer):
    some = slice(0, 8 if layer in ("layer1", "layer2") else None)  # every pixel in turn: large maps take long
    records = both.stored("records", layer)[some]
    images = list(zip(both.activations[layer][some], both.energy[layer][some], strict=True))
    for name, measure in EVERY_MEASURE.items():
        close([r[name] for r in records], [measure(A, E) for A, E in images], of=name)
    fits = [reference.sombrero(E) or (None, None, None) for _, E in images]
    for name, values in zip(SOMBRERO, zip(*fits, strict=True), strict=True):
        close([r[name] for r in records], values, of=name)


@pytest.mark.parametrize("layer", LAYERS)
def test_encircled_energy_of_single_images(both, layer):
    # The library tabulates sampled pixels at 129 radii, the reference has exact areas: radii differ by up to
    # 3e-4, the ratio by 2e-3. What float32 adds is told apart by the library's own measure of these maps.
    some = slice(0, 3)
    records, maps = both.stored("records", layer)[some], both.energy[layer][some]
    own = optics.focus(torch.from_numpy(np.array(maps))).numpy()
    for name, measure in ENCIRCLED.items():
        close([r[name] for r in records], own[name], of=name)
        assert own[name] == pytest.approx([measure(E) for E in maps], rel=3e-3 if "ratio" in name else 1e-3)


@pytest.mark.parametrize("layer", LAYERS[:3])
@pytest.mark.parametrize("plane", ["image", "feature"])
def test_angles(both, layer, plane):
    # Float32 leaves dipoles and chromas off by up to 3e-7, which is an angle of 3e-7 / strength: within 1e-5
    # from strength 0.03 on. Weak angles have no other bound; of those above the floor 95 % are within 1e-5.
    frame = both.frame(layer)
    values = both.dipole[layer] if plane == "image" else both.chroma[layer]
    vectors = np.array([getattr(frame, plane)(value) for value in values])
    stored = both.stored("angles", layer)
    theta, strength = (
        np.array([row[f"{name}_{plane}{unit}"] for row in stored])
        for name, unit in (("theta", "_rad"), ("strength", ""))
    )
    error = np.abs(np.angle(np.exp(1j * theta) / vectors))
    assert (error <= np.maximum(1e-5, 3e-7 / strength)).all()
    assert strength == pytest.approx(np.abs(vectors), rel=1e-5, abs=3e-7)
    strong = strength > both.stored_frame(layer)[f"floor_{plane}"]
    assert strong.mean() > 0.9
    assert np.quantile(error[strong], 0.95) < 1e-5
    assert np.median(error) < 2e-6


@pytest.mark.parametrize("layer", LAYERS[:3])
def test_frames(both, layer):
    frame, stored = both.frame(layer), both.stored_frame(layer)
    assert stored["n_memory"] == both.in_memory.sum()
    mean = complex(stored["mean_dipole_x"], stored["mean_dipole_y"])
    assert mean == pytest.approx(frame.mean_dipole, abs=1e-6)
    assert stored["mean_chroma"] == pytest.approx(frame.mean_chroma, abs=1e-6)
    axes = np.array([stored["frame_x"], stored["frame_y"]]).T
    assert axes == pytest.approx(frame.Q, abs=1e-4)
    assert [stored["coupling_1"], stored["coupling_2"]] == pytest.approx(frame.couplings, rel=1e-4)
    for plane, values in (("image", both.dipole[layer]), ("feature", both.chroma[layer])):
        strengths = [abs(getattr(frame, plane)(value)) for value in both.memory(values)]
        floor = 0.1 * math.sqrt(np.mean(np.square(strengths)))
        assert stored[f"floor_{plane}"] == pytest.approx(floor, rel=1e-4)


def test_a_pooled_layer_has_energy_and_polar_angle_only(both):
    for row in both.stored("angles", "mean"):
        assert row["theta_image_rad"] is row["theta_feature_rad"] is None
    for row in both.stored("records", "mean"):
        assert (row["dipole_x"], row["dipole_y"], row["anisotropy"], row["sombrero_a"]) == (0, 0, None, None)
    assert both.stored_frame("mean")["frame_x"] is None


def mean_maps(both):
    """(row of the lake, mean map of the same images by the reference) of the bottleneck."""
    for row in rows(both.lake, "energy_maps"):
        if row["layer"] == "layer3":
            inside = both.in_memory == (row["split"] == "memory")
            if row["label"] is not None:
                inside = inside & (both.labels == row["label"])
            chosen = [E for E, i in zip(both.energy["layer3"], inside, strict=True) if i]
            assert row["n"] == len(chosen)
            yield row, sum(chosen) / len(chosen)


def test_mean_maps(both):
    for row, E in mean_maps(both):
        assert row["mean_energy"] == pytest.approx(E.ravel(), rel=1e-5)
        assert row["anisotropy"] == pytest.approx(reference.anisotropy(E), rel=1e-5)
        found = reference.rings(E)
        assert row["radius"] == pytest.approx([math.sqrt(r2) for r2 in sorted(found)], abs=1e-9)
        assert row["radial_energy"] == pytest.approx([np.mean(found[r2]) for r2 in sorted(found)], rel=1e-5)


def test_sombreros_of_mean_maps(both):
    for row, E in mean_maps(both):
        a, b, c = reference.sombrero(E)
        assert [row[name] for name in SOMBRERO] == pytest.approx([a, b, c], rel=1e-4, abs=1e-5 * abs(a))
        if b > 0 and c > 0:
            assert row["trough_radius"] == pytest.approx(math.sqrt(b / (2 * c)), rel=1e-4)
        else:
            assert row["trough_radius"] is None
        fit = [a - b * (x * x + y * y) + c * (x * x + y * y) ** 2 for _, _, x, y in reference.pixels(8, 8)]
        residual = np.square(E.ravel() - fit).sum() / np.square(E - E.mean()).sum()
        assert row["r_squared"] == pytest.approx(1 - residual, abs=1e-5)


def test_encircled_energy_of_mean_maps(both):
    for row, E in [pair for pair in mean_maps(both) if pair[0]["label"] is None]:
        for name, measure in ENCIRCLED.items():
            assert row[name] == pytest.approx(measure(E), rel=3e-3 if "ratio" in name else 1e-3)


def scheme_vectors(both, scheme):
    if scheme == "theta":
        frame = both.frame("layer3")
        z = np.array([frame.feature(h) for h in both.chroma["layer3"]])
        return np.stack([z.real, z.imag], axis=1) / np.abs(z)[:, None]
    if scheme == "energy":
        return np.array([E.ravel() for E in both.energy["layer3"]])
    return np.array((both.pooled if scheme == "pooled" else both.chroma)["layer3"])


@pytest.mark.parametrize("scheme", ["pooled", "chroma", "theta", "energy"])
def test_neighbours(both, scheme):
    # Any order is right among equals: the similarity at each rank is compared, and that of the image named.
    vectors = scheme_vectors(both, scheme)
    similarity = reference.cosines(both.query(vectors), both.memory(vectors))
    memory_ids, query_ids = both.memory(both.image_ids), both.query(both.image_ids)
    found = [row for row in rows(both.lake, "neighbours") if row["scheme"] == scheme]
    assert len(found) == 20 * len(query_ids)
    for row in found:
        of_query = similarity[query_ids.index(row["image_id"])]
        named = of_query[memory_ids.index(row["memory_image_id"])]
        assert named == pytest.approx(
            np.sort(of_query)[-row["rank"]], abs=2e-5 if scheme == "theta" else 1e-6
        )
        # Two angles may each be off by 1e-5 (test_angles).
        assert row["similarity"] == pytest.approx(named, abs=2e-5 if scheme == "theta" else 1e-6)
        assert row["memory_label"] == both.labels[both.image_ids.index(row["memory_image_id"])]


def test_location_memory(both):
    maps = both.activations["layer3"]
    queries, memory = both.query(maps), both.memory(maps)
    query_ids, memory_ids = both.query(both.image_ids), both.memory(both.image_ids)
    by_place = reference.cosines_by_place(queries, memory)
    views = {(x, y): by_place[p, q] for p, q, x, y in reference.pixels(8, 8)}
    views["full"] = reference.cosines([A.ravel() for A in queries], [A.ravel() for A in memory])
    views["pooled"] = reference.cosines(both.query(both.pooled["layer3"]), both.memory(both.pooled["layer3"]))
    found = rows(both.lake, "location_neighbours")
    assert len(found) == len(views) * len(queries)
    for row in found:
        view = (row["x"], row["y"]) if row["scheme"] == "location" else row["scheme"]
        of_query = views[view][query_ids.index(row["image_id"])]
        # Maps are kept in float16, which rounds a number by up to 5e-4 of it.
        named = of_query[memory_ids.index(row["memory_image_id"])]
        assert named == pytest.approx(of_query.max(), abs=5e-4)
        assert row["similarity"] == pytest.approx(named, abs=5e-4)
        assert row["memory_label"] == both.labels[both.image_ids.index(row["memory_image_id"])]
