"""`u1 validate` passes on the product as it is, and fails once one of its formulas is broken."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MUTATIONS = runpy.run_path(str(ROOT / "benchmarks" / "mutations.py"))
SOME = (
    "2k degrees of freedom",
    "dipoles not centred",
    "U for U V^T",
    "y axis down",
    "tail of tied angles",
    "90 % arcs, bootstrap",
)
"""One per part of the validation; the script tries them all."""


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
@pytest.mark.parametrize("name", SOME)
def test_a_broken_formula_is_found(name, tmp_path):
    done = MUTATIONS["validate_broken"](name, tmp_path)
    assert done.returncode == 1, done.stdout
    assert re.match(r"u1: \d+ of \d+ failed: .", done.stderr), done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_every_mutation_still_has_a_place():
    for file, text, _ in MUTATIONS["MUTATIONS"].values():
        assert (ROOT / file).read_text().count(text) == 1
