"""docs/models.md: rows of it, chosen across all families, are what the finder says today."""

import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
sys.path.append(str(ROOT / "benchmarks"))

import models_page  # noqa: E402

PAGE = (ROOT / "docs" / "models.md").read_text()
ROWS = models_page.listed(PAGE)
SAMPLE = sorted(ROWS)[::45]


def test_the_page_covers_what_it_promises():
    from u1core.networks.sources import registry

    of = {lib: [n for n in ROWS if n.startswith(f"{lib}:")] for lib in models_page.LIBRARIES}
    assert len(of["timm"]) >= 300
    cnns = [n for n in registry.names("torchvision") if not n.startswith(("vit_", "swin_"))]
    assert of["torchvision"] == [f"torchvision:{name}" for name in cnns]
    assert f"{len(of['torchvision'])} of torchvision, {len(of['timm'])} of timm" in PAGE


@pytest.mark.parametrize("architecture", SAMPLE)
def test_a_row_is_what_the_finder_says(architecture):
    library = architecture.partition(":")[0]
    if f"{library} {version(library)}" not in PAGE:
        pytest.skip(f"the page was made with another {library}: `make catalog-check` writes it again")
    answer = models_page.examine(architecture)
    assert answer.row == ROWS[architecture], answer.refusal
