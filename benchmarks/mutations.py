"""Break one formula of the product after another: does `u1 validate --quick` notice each time?

    .venv/bin/python benchmarks/mutations.py

Each mutation is one line of a copy of the package. Expected: all found, in about eight minutes on two
cores. tests/flows/test_validate_command.py runs some of them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("u1core", "flows", "tasks", "sql")
BIAS, DIRECTIONS = "sql/views/classes/class_bias.sql", "sql/views/classes/class_directions.sql"
SIGNIFICANCE, CIRCULAR = "sql/macros/significance.sql", "sql/macros/circular.sql"
FRAMES, OPTICS = "u1core/measures/frames.py", "u1core/measures/optics.py"
PIXEL_GRID = "u1core/measures/pixel_grid.py"

MUTATIONS = {
    "2k degrees of freedom": (BIAS, "2 * (classes - 1) end as mww_dof", "2 * classes end as mww_dof"),
    "shuffles without the last image": (BIAS, "position <= designs.n", "position < designs.n"),
    "lowest ranks on ties": (SIGNIFICANCE, "then count(*) over (partition", "then rank() over (partition"),
    "a term too many in the tail": (SIGNIFICANCE, "(dof // 2)::bigint", "(dof // 2 + 1)::bigint"),
    "tail of small classes": (SIGNIFICANCE, "smallest_class between 20", "smallest_class between 2"),
    "tail of tied angles": (SIGNIFICANCE, "abs(tie_share) * sqrt(n) <= 0.1", "true"),
    "Rayleigh with n for 2n": (SIGNIFICANCE, "+ 1 + 2 * n", "+ 1 + n"),
    "Benjamini-Hochberg without the count": (SIGNIFICANCE, "known_p * count(known_p) over ()", "known_p"),
    "mean direction mirrored": (CIRCULAR, "atan2(sine, cosine)", "atan2(-sine, cosine)"),
    "90 % arcs, large sample": (CIRCULAR, "1.959963984540054 * sqrt(", "1.644853626951473 * sqrt("),
    "90 % arcs, bootstrap": (DIRECTIONS, "quantile_disc(square, 0.95)", "quantile_disc(square, 0.90)"),
    "the wrong tail": ("sql/views/classes/agreements.sql", ">= least_agreement", "<= least_agreement"),
    "dipoles not centred": (FRAMES, "dipole - frame.mean_dipole", "dipole"),
    "chroma not centred": (FRAMES, "chroma - frame.mean_chroma", "chroma"),
    "U for U V^T": (FRAMES, "U @ Vt if", "U if"),
    "batches merged without their means": (FRAMES, " + np.outer(dh, dd) * self.n * share", ""),
    "y axis down": (
        PIXEL_GRID,
        "y = 1 - (2 * np.arange(height) + 1)",
        "y = -1 + (2 * np.arange(height) + 1)",
    ),
    "EE50 at 60 %": (OPTICS, "_encircling_radius(curve, 0.5)", "_encircling_radius(curve, 0.6)"),
    "Sombrero upside down": (OPTICS, "np.ones_like(r2), -r2,", "np.ones_like(r2), r2,"),
    "Sombreros that turn the other way": (
        "u1core/measures/shape.py",
        "for slope in (b, 2 * c - b)",
        "for slope in (b, b - 2 * c)",
    ),
    "gains of the rivals": (
        "sql/views/claims/training_tests.sql",
        "combined.test_accuracy - rivals.test_accuracy",
        "rivals.test_accuracy - combined.test_accuracy",
    ),
}
"""What is broken: file, text, replacement. Each text occurs once."""


def mutate(name: str, folder: Path) -> None:
    """Copy the package into a folder and break the copy."""
    file, text, replacement = MUTATIONS[name]
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    source = (folder / file).read_text()
    if source.count(text) != 1:
        raise ValueError(f"{name}: {text!r} occurs {source.count(text)} times in {file}, expected once")
    (folder / file).write_text(source.replace(text, replacement))


@contextmanager
def imported_from(folder: Path) -> Iterator[None]:
    """Have this process import the copy in a folder; other libraries are not imported anew."""

    def ours() -> dict[str, ModuleType]:
        return {name: module for name, module in sys.modules.items() if name.partition(".")[0] in PACKAGES}

    sound = ours()
    sys.path.insert(0, str(folder))
    try:
        for name in sound:
            del sys.modules[name]
        yield
    finally:
        sys.path.remove(str(folder))
        for name in ours():
            del sys.modules[name]
        sys.modules.update(sound)


def validate_broken(name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `u1 validate --quick` on a copy of the package in `folder` with one mutation applied."""
    mutate(name, folder)
    return subprocess.run(
        [sys.executable, "-c", "from flows.cli import main; main()", "validate", "--quick"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def _report(name: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        done = validate_broken(name, Path(folder))
    print(f"{'found' if done.returncode == 1 else 'MISSED':6}  {name}: {done.stderr.strip()}", flush=True)
    return done.returncode == 1


if __name__ == "__main__":
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(_report, MUTATIONS))
    print(f"{sum(found)} of {len(found)} mutations found")
    sys.exit(not all(found))
