"""The claims on a terminal of 80 columns."""

import io

import pytest

from flows.cli.result import COLOURS, MAX_CELLS, SIGNS, cells_table, claims_table
from flows.cli.terminal import Console

STATES = ("holds", "refuted", "inconclusive", "not tested")


def shown(table):
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text().splitlines()


def claim(number, state):
    return {
        "claim": f"{number}. Light of [brackets] bends " + 6 * "and bends ",
        "verdict": state,
        "seen": state,
        "beyond": "inconclusive",
        "evidence": "Seen: holds in 4 of 4 cells. " * 5,
        "caveat": "Fewest cells pass: roundness.",
        "todo": "",
    }


def test_every_state_has_a_colour_and_a_sign_of_its_own():
    assert tuple(COLOURS) == tuple(SIGNS) == STATES
    assert len(set(SIGNS.values())) == len(set(COLOURS.values())) == 4


def test_both_questions_stand_beside_a_claim_unbroken():
    lines = shown(claims_table([claim(i, state) for i, state in enumerate(STATES, 1)]))
    assert max(map(len, lines)) <= 80
    for number, state in enumerate(STATES, 1):
        (first,) = (line for line in lines if f"│ {number}. Light of [brackets]" in line)
        assert [cell.strip() for cell in first.split("│")[2:4]] == [state, "inconclusive"]
        assert any(line.startswith(f"│ {state}. Seen: holds in 4 of 4 cells.") for line in lines)


def cell(model, claim, seen="holds", beyond="not tested"):
    return {"dataset": "cifar10", "model": model, "claim": claim, "seen": seen, "beyond": beyond}


def test_a_cell_is_a_line_of_signs():
    rows = [cell("net", "1"), cell("net", "2", "refuted", "inconclusive"), cell("a[b]", "2")]
    lines = shown(cells_table(rows))
    assert max(map(len, lines)) <= 80
    found = [[value.strip() for value in line.split("│")[1:-1]] for line in lines if line.startswith("│")]
    assert found == [["cifar10", "net", "✓ –", "✗ ?"], ["cifar10", "a[b]", "", "✓ –"]]


@pytest.mark.parametrize(("more", "told"), [(0, False), (3, True)])
def test_what_is_not_listed_is_counted(more, told):
    text = "\n".join(shown(cells_table([cell(f"net{i}", "1") for i in range(MAX_CELLS + more)])))
    assert text.count("✓ –") == MAX_CELLS
    assert ("3 more cells:" in text) is told
