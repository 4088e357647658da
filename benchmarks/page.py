"""docs/benchmarks.md from the lines of JSON that the rows gave: tables, two plots, machine, versions."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from measure import is_met

HERE = Path(__file__).parent

WHAT = {
    "heap": "bare forward passes with the kept heap over the C library's default",
    "extraction": "extraction from the pixel cache over the bare forward pass",
    "first_pass": "first pass from JPEG files over the slower of decode and forward",
    "sweep": "sweep of 6 models over the sum of their bare forward passes",
    "thingsvision": "JPEG files to features, over thingsvision 2.7",
    "efficientnet": "EfficientNet-Lite0 in bfloat16 over float32 NCHW eager",
    "knn": "exact k-NN, 50,000 x 10,000 x 1,280, over faiss IndexFlatIP",
    "orchestration": "orchestration's share of a sweep; 100 small cells",
    "cells": "5,000 cells planned, 10,000 cells listed",
    "sql_scale": "class_bias and class_directions over 100 million rows",
    "startup": "`u1 --help`, `u1 sql 'select 1'`",
    "memory": "peak memory of a sweep",
    "gpu": "extraction over the bare forward pass on a GPU",
}
"""What each row is about."""

TARGETS = {
    "knn": {"faiss_over_ours": ">= 1.0"},
    "orchestration": {"hundred_cells_of_target": "<= 1", "share_of_100_minutes": "<= 0.03"},
    "startup": {"u1 --help, target over time": ">= 1", "u1 sql, target over time": ">= 1"},
}
"""Targets by row and ratio, where the row's own line names none."""

LIMITS: dict[str, str] = {
    "extraction": "reading every tapped activation once more: as fast as memory gives it in float32, in "
    "three passes of torch's in bfloat16 (share of the time below); a short run's last part, written at its "
    "end",
    "first_pass": "decoding wants the cores that forward passes want (what is possible stands below); the "
    "rest is the gap of `extraction`",
    "thingsvision": "the forward pass itself: bare, it gives the rates of row `extraction`",
    "sweep": "the start of Python and Prefect, analyses and report, over a few minutes of forward passes; "
    "and the gaps of `extraction`",
    "sql_scale": "the sort behind the ranks of class_bias: one for all tests, whose memory is bounded",
    "memory": "not looked into: the peak differs between runs",
    "efficientnet": "the gap of `extraction` in bfloat16",
    "gpu": "not taken apart yet; the more images per second the bare network makes, the larger the gap",
}
"""What limits a row that falls short: shown beside it, and only there."""

REPEATING = """\
The figures are in [benchmarks.json](benchmarks.json), a line of JSON per row. Keep the machine quiet: a
second program that uses its cores slows both sides of a ratio, seldom alike. The first run downloads CIFAR-10
(the photographs are made from it) and thingsvision with the torch it pins (3 GB); both stay in the cache
(`$U1_CACHE`).
"""

TICKS = (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20, 50)

GREEN, RED, GREY = "#2a7f4f", "#b3402a", "#888888"

Row = Mapping[str, Any]


def write(found: Mapping[str, Any], names: Sequence[str], path: Path) -> Path:
    """Write the page and its plots.

    Args:
        found: machine, versions, rows by name.
        names: All rows there are; those without a result are told too.
        path: Of the page; the plots lie beside it.

    Returns:
        The page.
    """
    mpl.rcParams["svg.hashsalt"] = "u1sweep"  # the same figures give the same files
    rows = {name: found["rows"].get(name, {"failed": "has not been run"}) for name in names}
    plots = [
        _plot_targets(rows, path.with_name("benchmarks-targets.svg")),
        _plot_rates(rows, path.with_name("benchmarks-rates.svg")),
    ]
    path.write_text(
        "\n".join([*_head(found), *_table(rows), *_pictures(plots), *_details(rows), *_tail(found)])
    )
    return path


def summary(found: Mapping[str, Any]) -> str:
    """Count targets met and rows that gave nothing, in a few words."""
    verdicts = [verdict for row in found["rows"].values() for *_, verdict in _lines(row)]
    silent = sum("failed" in row for row in found["rows"].values())
    return f"{verdicts.count('met')} targets met, {verdicts.count('short')} short, {silent} rows failed"


def _lines(row: Row) -> Iterator[tuple[str, str, float, str]]:
    """Yield name, target, value and verdict of the ratios of a row."""
    for name, value in row.get("ratios", {}).items():
        target = _target((TARGETS.get(row["benchmark"], {}) | row.get("targets", {})).get(name, ""))
        yield name, target, value, ("met" if is_met(value, target) else "short") if target else ""


def _target(target: object) -> str:
    return f">= {target:g}" if isinstance(target, int | float) else str(target)


# -- the parts of the page ----------------------------------------------------------------------------


def _head(found: Mapping[str, Any]) -> list[str]:
    minutes = sum(row.get("seconds", 0) for row in found["rows"].values()) / 60
    return [
        "# Benchmarks",
        "",
        "Written by `make bench`. Every ratio is measured side by side in one run: what is compared",
        "alternates, and the ratio is the median over at least five rounds, unless a row says otherwise. "
        f"These figures took {minutes:.0f} minutes.",
        *(
            ["", "**Quick figures: they show that the scripts run, not how fast.**"]
            if found.get("quick")
            else []
        ),
        "",
    ]


def _table(rows: Mapping[str, Row]) -> list[str]:
    lines = ["| what | | target | measured | verdict | what limits it |", "|---|---|---|---|---|---|"]
    for name, row in rows.items():
        what = f"[{WHAT[name]}](#{name})"
        reason = row.get("failed") or row.get("skipped")
        if reason:
            verdict = "**failed**" if "failed" in row else "not run"
            lines.append(f"| {what} | | | | {verdict} | {_cell(reason)} |")
        for part, target, value, verdict in _lines(row):
            limit = LIMITS.get(name, "") if verdict == "short" else ""
            shown = f"**{verdict}**" if verdict == "short" else verdict
            lines.append(f"| {what} | {part} | {target} | {value:.3g} | {shown} | {limit} |")
            what = ""
    return [*lines, ""]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")[:200]


def _pictures(plots: Sequence[tuple[Path, str]]) -> list[str]:
    return [line for path, text in plots for line in (f"![{text}]({path.name})", "")]


def _details(rows: Mapping[str, Row]) -> Iterator[str]:
    for name, row in rows.items():
        yield f"## {name}"
        yield ""
        if doc := _docstring(name):
            yield doc
            yield ""
        if "seconds" in row:
            yield f"`benchmarks/{name}.py` took {row['seconds']:.0f} s."
            yield ""
        if row.get("figures"):
            yield "| figure | value |"
            yield "|---|---|"
            yield from (f"| {key} | {_cell(value)} |" for key, value in _flat(row["figures"]))
            yield ""


def _docstring(name: str) -> str:
    """Return what a script says about itself, its command line left out."""
    path = HERE / f"{name}.py"
    text = ast.get_docstring(ast.parse(path.read_text())) if path.is_file() else None
    paragraphs = (text or "").split("\n\n")
    return "\n\n".join(paragraph for paragraph in paragraphs if not paragraph.startswith("    "))


def _flat(figures: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield (name, value) of nested figures: a level whose values are all numbers is one line."""
    for key, value in figures.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping) and any(isinstance(v, Mapping | list) for v in value.values()):
            yield from _flat(value, f"{name}: ")
        elif isinstance(value, Mapping):
            yield name, ", ".join(f"{k} {_number(v)}" for k, v in value.items())
        elif isinstance(value, list):
            yield name, ", ".join(map(_number, value))
        elif value != "":
            yield name, _number(value)


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _tail(found: Mapping[str, Any]) -> list[str]:
    return [
        "## Machine and versions",
        "",
        "| | |",
        "|---|---|",
        *(f"| {key.replace('_', ' ')} | {value} |" for key, value in found.get("machine", {}).items()),
        f"| versions | {', '.join(f'{k} {v}' for k, v in found.get('versions', {}).items())} |",
        "",
        "## How to repeat",
        "",
        "```bash",
        "make bench                                                # everything, this page and its figures",
        ".venv/bin/python benchmarks/report.py --only knn,startup  # some rows again",
        ".venv/bin/python benchmarks/extraction.py                 # one row by itself; --help explains it",
        "```",
        "",
        *REPEATING.splitlines(),
        "",
    ]


# -- the plots ----------------------------------------------------------------------------------------


def _plot_targets(rows: Mapping[str, Row], path: Path) -> tuple[Path, str]:
    """Draw every ratio as a multiple of its target; to the right of 1 it is met."""
    bars = [
        (f"{name}: {part}", value / bound if target.startswith(">") else bound / value, verdict)
        for name, row in rows.items()
        for part, target, value, verdict in _lines(row)
        if target and " to " not in target and value > 0 and (bound := float(target.split()[1]))
    ][::-1]
    figure = Figure(figsize=(8, 1 + 0.24 * len(bars)), layout="constrained")
    axes = figure.subplots()
    colours = [GREEN if verdict == "met" else RED for *_, verdict in bars]
    axes.barh([b[0] for b in bars], [b[1] - 1 for b in bars], left=1, color=colours)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
    axes.set_xticks([], minor=True)
    axes.set_xlim(*_limits([value for _, value, _ in bars]))
    axes.set_xlabel("times as good as the target (log scale)")
    axes.tick_params(axis="y", labelsize=7)
    figure.savefig(path, metadata={"Date": None})
    return path, "every ratio as a multiple of its target"


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Return where the axis of multiples begins and ends: a little beyond the bars, and around 1."""
    return 0.95 * min([0.95, *values]), 1.05 * max([1.05, *values])


def _plot_rates(rows: Mapping[str, Row], path: Path) -> tuple[Path, str]:
    """Draw images per second: what is compared, side by side, for every network."""
    groups = [
        (f"{name}: {label}", figures["images per second"])
        for name in ("extraction", "first_pass", "thingsvision")
        for label, figures in rows[name].get("figures", {}).items()
        if isinstance(figures, Mapping) and "images per second" in figures
    ]
    figure = Figure(figsize=(8, 0.5 + 0.2 * sum(len(rates) + 2 for _, rates in groups)), layout="constrained")
    axes = figure.subplots()
    at = 0
    for label, rates in groups:
        axes.text(0, at, label, fontsize=8, weight="bold", va="center")
        for place, (part, rate) in enumerate(rates.items(), at + 1):
            ours = part in ("extraction", "first pass") or part.startswith(("float32", "bfloat16"))
            share = rate / max(rates.values())
            axes.barh(place, share, color=GREEN if ours else GREY)
            axes.text(share, place, f" {part}: {rate:.3g}", va="center", fontsize=7)
        at += len(rates) + 2
    axes.set(yticks=[], xticks=[], xlim=(0, 1.4), ylim=(max(at - 1, 0), -1))
    axes.set_xlabel("images per second, each group to its own scale; green: this project")
    figure.savefig(path, metadata={"Date": None})
    return path, "images per second, what is compared side by side"
