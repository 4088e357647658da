"""`u1 validate` passes on the product as it is, and fails once one of its formulas is broken."""

import importlib
import re
import sys

import pytest
from command import ROOT

sys.path.append(str(ROOT / "benchmarks"))

from mutations import MUTATIONS, imported_from, mutate

SOME = {
    "2k degrees of freedom": "false discoveries",
    "dipoles not centred": "planted angles",
    "U for U V^T": "symmetries",
    "y axis down": "planted angles",
    "tail of tied angles": "level of the bias test",
    "90 % arcs, bootstrap": "coverage",
}
"""One per part of the validation, and the stage that must find it; the script tries all on all stages."""


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
def test_a_broken_formula_is_found(u1, monkeypatch, name, tmp_path):
    """By the stage that it concerns: the others find nothing, whatever they would."""
    mutate(name, tmp_path)
    with imported_from(tmp_path):
        stages = importlib.import_module("u1core.validate.stages")
        assert stages.__file__.startswith(str(tmp_path))
        for stage in stages.STAGES.keys() - {SOME[name]}:
            monkeypatch.setitem(stages.STAGES, stage, lambda *_: stages.Outcome())
        done = u1("validate", "--quick")
    assert done.returncode == 1, done.stdout
    assert re.match(r"u1: \d+ of \d+ failed: .", done.stderr), done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_every_mutation_still_has_a_place():
    for file, text, _ in MUTATIONS.values():
        assert (ROOT / file).read_text().count(text) == 1
