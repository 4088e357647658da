"""Time class_bias and class_directions over very many angles, against polars, in bounded memory.

    .venv/bin/python benchmarks/sql_scale.py                  # 100 million rows, two shapes, half an hour
    .venv/bin/python benchmarks/sql_scale.py --quick          # 2 million, a minute
    .venv/bin/python benchmarks/sql_scale.py --rows 1e7 --no-polars

A row is a row of `angles`: one image at one layer, with an angle in both planes, so that N rows are ranked
as 2 N angles. Two shapes: `one` is one cell of N images and 1,000 classes; `many` has cells of 100,000
images and 100 classes. Every answer comes from the product's own connection in a process of its own, whose
peak memory is its resident set. Polars reads the same files and computes the same statistics; both must agree
to 1e-9. Sizes are a tenth, a third and all of the rows: seconds per million rows show the linearity.
Beside wall seconds stand CPU seconds over the threads: near the wall of a machine that does nothing else.

Polars comes with `pip install polars`; without it, or with --no-polars, only our own figures are printed.
Expected on two idle cores: at most 60 s for both views at 100 million rows, below 4 GiB.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from u1core.lake.store import CellId, Lake

ROOT = Path(__file__).resolve().parents[1]
CHUNK = 500_000
VIEWS = {
    "class_directions": "cell_key, plane, split, label, n, weak_share, mean_direction_rad, resultant_length, "
    "rayleigh_p",
    "class_bias": "cell_key, plane, split, n, classes, mww_w",
}
KEYS = {
    "class_directions": ["cell_key", "plane", "split", "label"],
    "class_bias": ["cell_key", "plane", "split"],
}


# -- the lake ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shape:
    """Cells of equally many images and classes."""

    name: str
    cells: int
    images: int
    classes: int

    @property
    def rows(self) -> int:
        return self.cells * self.images


def shapes(rows: int) -> list[Shape]:
    per_cell = min(100_000, rows)
    return [Shape("one", 1, rows, 1000), Shape("many", rows // per_cell, per_cell, 100)]


def write_lake(root: Path, shape: Shape) -> None:
    """Write `angles`, `frames` and `cells` of a lake, at most CHUNK rows in memory at a time."""
    lake = Lake.open(root, create=True)
    now = datetime.now(UTC)
    for number in range(shape.cells):
        cell = CellId(f"{number:016x}", f"data{number % 10}", f"net{number // 10}", "original")
        rng = np.random.default_rng(number)
        directions = rng.uniform(-np.pi, np.pi, (2, shape.classes))
        for part, start in enumerate(range(0, shape.images, CHUNK)):
            images = np.arange(start, min(start + CHUNK, shape.images))
            lake.write("angles", cell, _angles(images, directions, rng), layer="last", part=part)
        frame = {"layer_index": [0], "is_bottleneck": [True], "floor_image": [0.02], "floor_feature": [0.02]}
        lake.write("frames", cell, frame, layer="last")
        row = {"status": "done", "layers": ["last"], "bottleneck": "last", "rows": shape.images}
        row |= {"committed_at": now, "selected_at": now}
        # Not `commit`: it looks through all cells before it.
        lake.write("cells", cell, {name: [value] for name, value in row.items()})


def _angles(images: np.ndarray, directions: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    """Classes lean by 1.6 rad around their directions; every 100th angle is rounded and so tied."""
    label = images // 2 % directions.shape[1]
    columns: dict[str, Any] = {
        "image_id": images,
        "label": label,
        "split": pa.array(["memory", "query"]).take(pa.array(images % 2)),
        "class_name": pa.array([f"class {c}" for c in range(directions.shape[1])]).take(pa.array(label)),
    }
    for plane, direction in zip(("image", "feature"), directions, strict=True):
        theta = direction[label] + rng.normal(0, 1.6, len(images))
        theta = np.arctan2(np.sin(theta), np.cos(theta))
        theta[::100] = np.trunc(theta[::100] * 1000) / 1000
        columns[f"theta_{plane}_rad"] = theta
        columns[f"strength_{plane}"] = rng.gamma(2, 0.1, len(images))
    return columns


# -- the two contestants, each in a process of its own --------------------------------------------


def ask_u1(root: Path, view: str) -> pa.Table:
    from u1core.lake.connect import connect
    from u1core.lake.guard import run_query

    with connect(root) as connection:
        return run_query(connection, f"select {VIEWS[view]} from {view}")


def ask_polars(root: Path, view: str) -> pa.Table:
    """The same by polars' lazy, streaming engine: narrow group numbers, both planes side by side."""
    import polars as pl

    def frames(table: str) -> pl.LazyFrame:
        return pl.scan_parquet(str(root / table / "**" / "*.parquet"), hive_partitioning=False)

    rows = frames("angles").join(frames("cells").select("cell_key"), on="cell_key", how="semi")
    planes = ("image", "feature")
    if view == "class_directions":
        rows = rows.join(frames("frames").select("cell_key", "layer", "floor_image", "floor_feature"),
                         on=["cell_key", "layer"], how="left")  # fmt: skip
        sums = rows.group_by("cell_key", "layer", "split", "label", "class_name").agg(
            *(e for plane in planes for e in _direction_sums(pl, plane))
        )
        both = pl.concat([_directions(pl, sums, plane) for plane in planes])
    else:
        tests = rows.group_by("cell_key", "layer", "split").agg().collect().with_row_index("test")
        numbered = rows.join(tests.lazy(), on=["cell_key", "layer", "split"]).select(
            "test", pl.col("label").cast(pl.Int32), *(f"theta_{plane}_rad" for plane in planes)
        )
        both = pl.concat([_bias(pl, numbered, plane) for plane in planes]).join(tests.lazy(), on="test")
    return both.select(VIEWS[view].split(", ")).collect(engine="streaming").to_arrow()


def _direction_sums(pl: Any, plane: str) -> list[Any]:
    theta = pl.col(f"theta_{plane}_rad")
    weak = (pl.col(f"strength_{plane}") < pl.col(f"floor_{plane}")) & theta.is_not_null()
    sums = {"n": theta.count(), "weak": weak.sum(), "c": theta.cos().sum(), "s": theta.sin().sum()}
    # What class_directions needs for its arcs: the second moments.
    sums |= {"cc": (theta.cos() ** 2).sum(), "cs": (theta.cos() * theta.sin()).sum()}
    return [expression.alias(f"{name}_{plane}") for name, expression in sums.items()]


def _directions(pl: Any, sums: Any, plane: str) -> Any:
    n, weak, c, s = (pl.col(f"{name}_{plane}") for name in ("n", "weak", "c", "s"))
    named = sums.filter(n > 0).with_columns(
        plane=pl.lit(plane),
        n=n.cast(pl.Int64),
        weak_share=weak / n,
        mean_direction_rad=pl.arctan2(s, c),
        resultant_length=(c**2 + s**2).sqrt() / n,
    )
    n, r = pl.col("n"), pl.col("n") * pl.col("resultant_length")
    root = ((1 + 2 * n) ** 2 - 4 * r**2).sqrt()
    return named.with_columns(rayleigh_p=(-4 * r**2 / (root + 1 + 2 * n)).exp()).select(
        VIEWS["class_directions"].split(", ")
    )


def _bias(pl: Any, numbered: Any, plane: str) -> Any:
    theta = pl.col(f"theta_{plane}_rad")
    score = 2 * np.pi * pl.col("rank") / pl.col("images")
    ranked = numbered.filter(theta.is_not_null()).select(
        "test",
        "label",
        rank=theta.rank("average").over("test"),
        images=pl.len().over("test"),
    )
    sums = ranked.group_by("test", "label").agg(n=pl.len(), c=score.cos().sum(), s=score.sin().sum())
    n = pl.col("n")
    return sums.group_by("test").agg(
        plane=pl.lit(plane).first(),
        n=n.sum().cast(pl.Int64),
        classes=pl.len().cast(pl.Int64),
        mww_w=2 * ((pl.col("c") ** 2 + pl.col("s") ** 2) / n).sum(),
    )


CHILD = """
import json, resource, sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
import pyarrow.feather as feather
from benchmarks import sql_scale
begin, used = time.perf_counter(), time.process_time()
answer = sql_scale.ask_{who}(Path({lake!r}), {view!r})
wall, cpu = time.perf_counter() - begin, time.process_time() - used
feather.write_feather(answer, {out!r})
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({{"wall_s": wall, "cpu_s": cpu, "peak_mib": peak}}))
"""


def measure(who: str, lake: Path, view: str, out: Path) -> dict[str, float]:
    """Run one view in a fresh process; seconds count from import to the last row."""
    code = CHILD.format(root=str(ROOT), who=who, lake=str(lake), view=view, out=str(out))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{who} {view}: {done.stderr.strip()[-600:] or f'killed ({done.returncode})'}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


# -- comparison -----------------------------------------------------------------------------------


def worst_difference(view: str, ours: Path, theirs: Path) -> float:
    """Return the largest difference of any number, relative above 1; rows and keys must be the same."""
    import pyarrow.feather as feather

    order = [(key, "ascending") for key in KEYS[view]]
    a, b = (feather.read_table(path).sort_by(order) for path in (ours, theirs))
    worst = 0.0
    for name in a.column_names:
        x, y = (table[name].to_pylist() for table in (a, b))
        if name in KEYS[view]:
            if x != y:
                raise SystemExit(f"{view}: the rows differ in {name}")
            continue
        x, y = (np.array(values, dtype=float) for values in (x, y))
        difference = np.abs(x - y)
        if name.endswith("direction_rad"):
            difference = np.minimum(difference, 2 * np.pi - difference)
        worst = max(worst, float((difference / np.maximum(1, np.abs(x))).max()))
    return worst


def run(folder: Path, shape: Shape, polars: bool, repeats: int) -> dict[str, Any]:
    """Measure both views of one lake; print a line per view, return the figures."""
    lake = folder / "lake"
    write_lake(lake, shape)
    figures: dict[str, Any] = {}
    for view in VIEWS:
        runs: dict[str, list[dict[str, float]]] = {"u1": [], "polars": []}
        for _ in range(repeats):
            for who in ("u1", "polars") if polars else ("u1",):
                runs[who].append(measure(who, lake, view, folder / f"{who}.{view}"))
        for who, found in runs.items():
            if found:
                best = {key: float(np.median([f[key] for f in found])) for key in found[0]}
                figures[f"{who}.{view}"] = best
                print(_line(shape, who, view, best), flush=True)
        if polars:
            worst = worst_difference(view, folder / f"u1.{view}", folder / f"polars.{view}")
            print(f"{'':28}both agree to {worst:.1e}", flush=True)
            if worst > 1e-9:
                raise SystemExit(f"{view} and polars differ by {worst}")
    return figures


def _line(shape: Shape, who: str, view: str, f: dict[str, float]) -> str:
    per_million = f["wall_s"] / shape.rows * 1e6
    idle, name = f["cpu_s"] / _threads(), f"{shape.name:5} {shape.rows:>11,}"
    return (
        f"{name} {who:7} {view:17} {f['wall_s']:7.1f} s {per_million:6.3f} s/million"
        f" (cpu/threads {idle:6.1f} s) {f['peak_mib']:7.0f} MiB"
    )


def _threads() -> int:
    import os

    return len(os.sched_getaffinity(0))


def _total(figures: dict[str, Any], who: str, key: str) -> float:
    values = [found[key] for name, found in figures.items() if name.startswith(f"{who}.")]
    return max(values) if key == "peak_mib" else sum(values)


def _has_polars() -> bool:
    from importlib.util import find_spec

    return find_spec("polars") is not None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=float, default=1e8, help="rows of `angles` of the largest lake")
    parser.add_argument("--quick", action="store_true", help="2 million rows, one size")
    parser.add_argument("--shapes", default="one,many", help="which of the two shapes")
    parser.add_argument(
        "--sizes", type=int, default=3, help="sizes per shape: all, a third, a tenth of the rows"
    )
    parser.add_argument("--repeats", type=int, default=1, help="medians of so many runs, alternating")
    parser.add_argument("--polars-rows", type=float, default=3e7, help="no polars above so many rows: memory")
    parser.add_argument("--no-polars", action="store_true")
    parser.add_argument(
        "--folder", type=Path, help="where the lakes are written; a temporary folder by default"
    )
    options = parser.parse_args()
    rows = int(2e6 if options.quick else options.rows)
    sizes = [rows] if options.quick else [rows // share for share in (10, 3, 1)[-options.sizes :]]
    figures: dict[str, Any] = {}
    ratios: dict[str, float] = {}
    for name in options.shapes.split(","):
        for size in sizes:
            shape = next(shape for shape in shapes(size) if shape.name == name)
            polars = not options.no_polars and _has_polars() and size <= options.polars_rows
            with tempfile.TemporaryDirectory(dir=options.folder) as folder:
                found = run(Path(folder), shape, polars, options.repeats)
            key = f"{name} {shape.rows}"
            figures[key] = {
                "wall_s": _total(found, "u1", "wall_s"),
                "cpu_over_threads_s": _total(found, "u1", "cpu_s") / _threads(),
                "peak_mib": _total(found, "u1", "peak_mib"),
                "wall_s_per_million": _total(found, "u1", "wall_s") / shape.rows * 1e6,
            }
            if polars:
                figures[key]["polars_peak_mib"] = _total(found, "polars", "peak_mib")
                ratios[f"{key}, polars over ours"] = _total(found, "polars", "wall_s") / _total(
                    found, "u1", "wall_s"
                )
        # The largest size: against a minute and 4 GiB for 100 million rows.
        ratios[f"{key}, time for 100 million over 60 s"] = figures[key]["wall_s_per_million"] * 100 / 60
        ratios[f"{key}, peak over 4 GiB"] = figures[key]["peak_mib"] / 4096
    targets = {name: ">= 1" if name.endswith("ours") else "<= 1" for name in ratios}
    line = {"benchmark": "sql_scale", "ratios": ratios, "targets": targets, "figures": figures}
    print(json.dumps(line))


if __name__ == "__main__":
    main()
