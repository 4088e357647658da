"""Print the figures that were measured independently, next to what this lake gives.

    u1 sweep --models 'cifar10_resnet*' --datasets cifar10 --limit 10000
    u1 sweep --models cifar10_resnet20 --datasets cifar10 --limit 10000 --variants random-init,hflip,rot90
    .venv/bin/python benchmarks/reference_figures.py lake

Needs the CIFAR-10 ResNet weights in $U1_MODELS. The expected values come from a prototype that shares no
code with this package (CIFAR-10 test images, last stage 8x8x64, float32).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from u1core.lake.connect import connect
from u1core.lake.guard import run_query
from u1core.lake.views import analysis
from u1core.measures.frames import CoMoments, feature_plane, fit_frame, image_plane
from u1core.measures.medial import decompose

EXPECTED = {
    "cifar10_resnet20": {"head": 0.9173, "w": 1365.25, "planes": 0.95},
    "cifar10_resnet32": {"head": 0.9263, "w": 1794.92, "planes": 0.98},
}
CONTROLS = {"hflip": 0.78, "rot90": 0.45}
DIRECTIONS_DEG = {
    "airplane": -167.0, "automobile": -57.6, "bird": 59.3, "cat": 95.3, "deer": 110.4,
    "dog": 94.5, "frog": 42.6, "horse": 101.8, "ship": -106.7, "truck": -98.1,
}  # fmt: skip


def class_directions(theta: np.ndarray, label: np.ndarray) -> np.ndarray:
    return np.array([np.angle(np.exp(1j * theta[label == c]).sum()) for c in np.unique(label)])


def frame_fitted_on_the_query(connection, model: str) -> float:
    """Return the mean cosine of both planes' class directions, the frame fitted on the same query images."""
    rows = connection.execute(
        "select r.label, r.dipole_x, r.dipole_y, v.pooled from records r join vectors v "
        "using (cell_key, layer, image_id) where r.model = $model and r.variant = 'original' "
        "and r.layer = 'layer3' and r.split = 'query' order by r.image_id",
        {"model": model},
    ).fetchnumpy()
    dipole = np.stack([rows["dipole_x"], rows["dipole_y"]], axis=1)
    chroma = decompose(np.stack(rows["pooled"])).chroma
    frame = fit_frame(CoMoments.of(chroma, dipole))
    planes = [image_plane(frame, dipole)[0], feature_plane(frame, chroma)[0]]
    a, b = (class_directions(theta, rows["label"]) for theta in planes)
    return float(np.cos(a - b).mean())


def main(lake: Path) -> None:
    with connect(lake) as connection:
        text = analysis("class_bias_self_centred")
        self_centred = run_query(connection, text, {"split": "query"}).to_pylist()
        for model, expected in EXPECTED.items():
            head = connection.execute(
                "select distinct head_accuracy from memory_report where model = $m and variant = 'original'",
                {"m": model},
            ).fetchall()
            here = [
                r
                for r in self_centred
                if (r["model"], r["variant"], r["layer"]) == (model, "original", "layer3")
            ]
            print(f"{model}: head accuracy {head[0][0]:.4f} (expected {expected['head']})")
            print(f"{model}: self-centred W {here[0]['mww_w']:.2f} (expected {expected['w']})")
            planes = frame_fitted_on_the_query(connection, model)
            wanted = expected["planes"]
            print(f"{model}: planes agree at {planes:.3f}, frame fitted on the query (expected {wanted})")
            if model == "cifar10_resnet20":
                print(f"{model}: mean dipole ({here[0]['mean_dipole_x']:.4f}, {here[0]['mean_dipole_y']:.4f})"
                      " (expected (0.0324, -0.0174))")  # fmt: skip
                for r in here:
                    found, name = np.degrees(r["mean_direction_rad"]), r["class_name"]
                    print(f"    {name:<11} {found:7.1f} deg (expected {DIRECTIONS_DEG[name]:.1f})")
        for row in connection.execute(
            "select model_a, variant_a, model_b, variant_b, plane, agreement, permutation_p "
            "from model_agreement where split = 'query' and variant_a in ('original', 'random-init') "
            "and model_b <> 'pixels' order by all"
        ).fetchall():
            print("agreement: {} ({}) and {} ({}), {} plane: {:.3f}, p = {:.4f}".format(*row))
        for model, variant, correlation in connection.execute(
            "select model, variant, complex_correlation from controls where split = 'query' "
            "and plane = 'image' and layer = 'layer3' and variant in ('hflip', 'rot90') order by all"
        ).fetchall():
            wanted = CONTROLS[variant]
            print(f"{model}: {variant} follows at {correlation:.3f} (ResNet-20 on 5,000 images: {wanted})")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "lake"))
