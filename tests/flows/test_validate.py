"""`u1 validate` passes on the product as it is, and fails once one of its formulas is broken."""

import os
import re
import shutil
import subprocess

import pytest
from conftest import ROOT, U1

BIAS, DIRECTIONS = "sql/views/class_bias.sql", "sql/views/class_directions.sql"
SIGNIFICANCE, CIRCULAR = "sql/macros/significance.sql", "sql/macros/circular.sql"
FRAMES, OPTICS = "u1core/frames.py", "u1core/optics.py"

MUTATIONS = {
    "2k degrees of freedom": (BIAS, "2 * (classes - 1) end as mww_dof", "2 * classes end as mww_dof"),
    "shuffles without the last image": (BIAS, "position <= designs.n", "position < designs.n"),
    "lowest ranks on ties": (SIGNIFICANCE, "+ count(*) over (partition", "+ rank() over (partition"),
    "a term too many in the tail": (SIGNIFICANCE, "(dof // 2)::bigint", "(dof // 2 + 1)::bigint"),
    "tail of small classes": (SIGNIFICANCE, "smallest_class >= 20", "smallest_class >= 2"),
    "tail of tied angles": (SIGNIFICANCE, "tie_share * sqrt(n) <= 0.1", "true"),
    "Rayleigh with n for 2n": (SIGNIFICANCE, "+ 1 + 2 * n", "+ 1 + n"),
    "Benjamini-Hochberg without the count": (SIGNIFICANCE, "p * count(p) over () /", "p /"),
    "mean direction mirrored": (CIRCULAR, "atan2(avg(sin(angle_rad)),", "atan2(-avg(sin(angle_rad)),"),
    "90 % arcs, large sample": (CIRCULAR, "asin(\n                1.96", "asin(\n                1.64"),
    "90 % arcs, bootstrap": (DIRECTIONS, "quantile_disc(square, 0.95)", "quantile_disc(square, 0.90)"),
    "the wrong tail": ("sql/views/agreements.sql", ">= least_agreement", "<= least_agreement"),
    "dipoles not centred": (FRAMES, "dipole - frame.mean_dipole", "dipole"),
    "chroma not centred": (FRAMES, "chroma - frame.mean_chroma", "chroma"),
    "U for U V^T": (FRAMES, "U @ Vt if", "U if"),
    "batches merged without their means": (FRAMES, " + np.outer(dh, dd) * self.n * share", ""),
    "y axis down": (OPTICS, "y = 1 - (2 * np.arange(height) + 1)", "y = -1 + (2 * np.arange(height) + 1)"),
    "EE50 at 60 %": (OPTICS, "_encircling_radius(curve, 0.5)", "_encircling_radius(curve, 0.6)"),
    "Sombrero upside down": (OPTICS, "np.ones_like(r2), -r2,", "np.ones_like(r2), r2,"),
}
"""What is broken: file, text, replacement. Each text occurs once."""


def test_the_product_passes_and_prints_what_it_found(u1):
    done = u1("validate", "--quick")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"all \d+ passed", done.stdout)
    assert "power of class_bias" in done.stdout
    assert "coverage of 95 % arcs" in done.stdout


def test_a_lake_that_is_none_is_one_line(u1):
    done = u1("validate", "--quick", "--lake", "nowhere")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "nowhere" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_broken_formula_is_found(name, environment, tmp_path):
    file, text, replacement = MUTATIONS[name]
    for package in ("u1core", "flows", "tasks", "sql"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    source = (tmp_path / file).read_text()
    assert source.count(text) == 1
    (tmp_path / file).write_text(source.replace(text, replacement))
    done = subprocess.run(
        [*U1, "validate", "--quick"],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": os.fspath(tmp_path)},
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    assert re.match(r"u1: \d+ of \d+ failed: .", done.stderr), done.stderr
    assert len(done.stderr.splitlines()) == 1
