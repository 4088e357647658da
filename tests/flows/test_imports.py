"""What each command imports before it answers: this keeps them fast, whatever the machine is doing.

These are processes; what they say is what the other tests' commands say, which run in the tests' own.
"""

import subprocess
import sys

import pytest

from u1core.lake.store import Lake

LIBRARIES = {
    "torch",
    "torchvision",
    "timm",
    "prefect",
    "dask",
    "distributed",
    "matplotlib",
    "scipy",
    "sklearn",
}
"""Their imports take from a tenth of a second to ten."""

LISTING = """
import sys
from flows.cli import main
sys.argv[0] = "u1"
try:
    main()
finally:
    print("imported:", *{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""


@pytest.fixture
def imported(environment, tmp_path):
    """Run `u1` in a temporary folder; return the libraries it imported, its exit status, and what it said."""

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-c", LISTING, *map(str, arguments)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        errors, _, listed = done.stderr.rpartition("imported:")
        return LIBRARIES & set(listed.split()), done.returncode, (done.stdout, errors)

    return run


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--help"], 0),
        (["sweep", "--help"], 0),
        (["catalog", "list"], 0),
        (["catalog", "show", "digits"], 0),
        (["sql", "select 1", "--lake", "lake"], 0),
        # A mistake in a name is answered before anything else is looked at.
        (["plan", "--models", "resnet51"], 1),
        (["sweep", "--models", "efficientnet_lite0,resnet51"], 1),
        (["sweep", "--datasets", "imagenet"], 1),
        (["catalog", "show", "resnet51"], 1),
        (["catalog", "check", "resnet51"], 1),
    ],
)
def test_these_need_none_of_the_large_libraries(imported, u1, tmp_path, arguments, status):
    Lake.open(tmp_path / "lake", create=True)
    here = u1(*arguments)
    assert imported(*arguments) == (set(), status, (here.stdout, here.stderr))
    assert here.returncode == status


def test_a_plan_imports_what_its_networks_are_made_of_and_nothing_else(imported):
    libraries, status, _ = imported("plan", "--models", "cifar10_resnet20,pixels", "--datasets", "digits")
    assert status == 0
    assert libraries <= {"torch"}


ENTRIES = """
import sys
from u1core.catalog.catalog import load_catalog
from u1core.cells.cell import Cell
from u1core.networks.resolve import select_networks
catalog = load_catalog()
chosen = select_networks(catalog, "efficientnet_lite*,cifar10_resnet*,pixels")
assert len(chosen.models) == 6
print([Cell(m, d, "f").key for m in chosen.models for d in catalog.datasets.values()])
print("imported:", *{name.partition(".")[0] for name in sys.modules})
"""


def test_entries_that_leave_nothing_out_are_keyed_without_their_library(environment):
    done = subprocess.run(
        [sys.executable, "-c", ENTRIES], env=environment, capture_output=True, text=True, check=True
    )
    assert LIBRARIES & set(done.stdout.splitlines()[-1].split()) <= {"torch"}
