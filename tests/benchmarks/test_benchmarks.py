"""The benchmarks' own code: what they share, the page, the contract of a row; on sizes that prove nothing."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "benchmarks"))

import jpegs  # noqa: E402
import measure  # noqa: E402
import memory  # noqa: E402
import page  # noqa: E402
import report  # noqa: E402

# -- what they share ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "target", "met"),
    [
        (0.95, ">= 0.95", True),
        (0.949, ">= 0.95", False),
        (1.1, "<= 1.1", True),
        (1.2, "<= 1.1", False),
        (1.2, "0.8 to 1.2", True),
        (0.79, "0.8 to 1.2", False),
    ],
)
def test_a_ratio_meets_its_target(value, target, met):
    assert measure.is_met(value, target) is met


def test_what_is_compared_alternates_and_changes_its_order():
    calls = []
    found = measure.alternate(
        {"a": lambda: calls.append("a") or 2.0, "b": lambda: calls.append("b") or 1.0}, 3
    )
    assert "".join(calls) == "abbaab"
    assert found == {"a": [2.0] * 3, "b": [1.0] * 3}


def test_the_ratio_is_the_median_over_rounds():
    # A round in which the machine was slow for both: 1 / 0.5. By hand: 2, 2, 4 in order.
    assert measure.ratio([10.0, 1.0, 20.0], [5.0, 0.5, 5.0]) == 2.0


def test_the_peak_of_a_process_is_its_own(tmp_path):
    program = "x = bytearray(100_000_000); x[::4096] = b'1' * len(x[::4096]); print('done')"
    found = measure.watch([sys.executable, "-c", f"{program}; import time; time.sleep(0.3)"], tmp_path)
    assert found.output == "done\n"
    assert 100e6 < found.peak_bytes < 150e6
    assert 100e6 < found.peak_anonymous_bytes <= found.peak_bytes


def test_a_process_that_fails_says_why(tmp_path):
    with pytest.raises(RuntimeError, match="no such thing"):
        measure.watch([sys.executable, "-c", "raise SystemExit('no such thing')"], tmp_path)


def test_the_memory_of_a_plan_is_found():
    table = """
┏━━━━━━━━━━━━━━━━━━┳━━━━━━━┳━━━━━━━━━━━┓
┃ cell             ┃ state ┃ memory MB ┃
┡━━━━━━━━━━━━━━━━━━╇━━━━━━━╇━━━━━━━━━━━┩
│ lite0 on digits  │ to do │       123 │
└──────────────────┴───────┴───────────┘"""
    assert memory.planned_bytes(table) == 123e6
    with pytest.raises(ValueError, match="no memory"):
        memory.planned_bytes("nothing to do")


def test_photographs_are_the_same_each_time_and_as_large_as_photographs():
    y, x, colour = np.mgrid[:32, :32, :3]
    small = (128 + 60 * np.sin(x / 5 + colour) * np.cos(y / 7)).astype(np.uint8)  # smooth, as CIFAR-10's are
    files = []
    for seed in (3, 3, *range(10)):
        file = io.BytesIO()
        jpegs.photograph(small, seed).save(file, "JPEG", quality=jpegs.QUALITY)
        files.append(file.getvalue())
    assert files[0] == files[1]
    assert all(40e3 < len(file) < 110e3 for file in files)


# -- the page ----------------------------------------------------------------------------------------------

ROWS = {
    "extraction": {
        "benchmark": "extraction",
        "ratios": {"lite0 float32": 0.97, "lite0 bfloat16": 0.9},
        "targets": {"lite0 float32": ">= 0.95", "lite0 bfloat16": ">= 0.95"},
        "figures": {"lite0 float32": {"batch": 4, "images per second": {"extraction": 97.0, "bare": 100.0}}},
        "seconds": 12.0,
    },
    "knn": {
        "benchmark": "knn",
        "ratios": {"over faiss": 1.1, "faiss_over_ours": 0.9},
        "targets": {"over faiss": 1},
    },
    "sweep": {"benchmark": "sweep", "failed": "over its 200 s"},
    "gpu": {"benchmark": "gpu", "skipped": "no GPU here"},
}


def test_the_page_tells_every_row_with_its_verdict(tmp_path):
    found = {"machine": {"cores": 2}, "versions": {"torch": "2.14"}, "rows": ROWS}
    text = page.write(found, tuple(report.BUDGETS_S), tmp_path / "benchmarks.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("|")]
    line = lambda part: next(line for line in lines if part in line)  # noqa: E731
    assert "| >= 0.95 | 0.97 | met |" in line("lite0 float32 |")
    assert "| >= 0.95 | 0.9 | **short** |" in line("lite0 bfloat16")
    assert "| >= 1 | 1.1 | met |" in line("over faiss |")
    assert "| >= 1.0 | 0.9 | **short** |" in line("faiss_over_ours")  # a target that the page knows
    assert "**failed** | over its 200 s" in line("(#sweep)")
    assert "not run | no GPU here" in line("(#gpu)")
    assert "has not been run" in line("(#memory)")
    assert page.summary(found) == "2 targets met, 2 short, 1 rows failed"
    for plot in ("benchmarks-targets.svg", "benchmarks-rates.svg"):
        assert f"]({plot})" in text
        assert (tmp_path / plot).stat().st_size > 1000


def test_every_row_is_a_script_that_explains_itself():
    assert set(page.WHAT) == set(report.BUDGETS_S)
    for name in report.BUDGETS_S:
        if (ROOT / "benchmarks" / f"{name}.py").is_file():
            assert f"benchmarks/{name}.py" in (ROOT / "benchmarks" / f"{name}.py").read_text()


# -- the contract ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_row_ends_with_its_line_of_json(tmp_path):
    command = [sys.executable, ROOT / "benchmarks" / "gpu.py", "--device", "cpu", "--quick"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "U1_CACHE": str(tmp_path)}
    networks = ["--networks", "timm:mobilenetv3_small_050"]
    ended = subprocess.run(
        [*command, *networks], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    found = json.loads(ended.stdout.splitlines()[-1])
    assert found["benchmark"] == "gpu"
    assert set(found["ratios"]) == {"mobilenetv3_small_050 float32", "mobilenetv3_small_050 bfloat16"}
    assert found["targets"] == {}
    figures = found["figures"]["timm:mobilenetv3_small_050"]
    theta = "theta against float32, median and max, deg"
    assert figures["float32"][theta] == {"image": [0, 0], "feature": [0, 0]}
    assert all(0 < median < high <= 180 for median, high in figures["bfloat16"][theta].values())
    assert figures["float32"]["images per second"]["floor"] > 0


@pytest.mark.slow
def test_a_row_that_cannot_run_is_told_and_the_others_stay(tmp_path):
    results = tmp_path / "benchmarks.json"
    results.write_text(json.dumps({"rows": {"knn": ROWS["knn"]}}))
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, ROOT / "benchmarks" / "report.py", "--only", "gpu", "--quick", "--to", results]
    subprocess.run(command, env=environment, cwd=tmp_path, check=True)
    found = json.loads(results.read_text())
    assert "no GPU here" in found["rows"]["gpu"]["skipped"]
    assert found["rows"]["knn"] == ROWS["knn"]
    assert "no GPU here" in results.with_suffix(".md").read_text()
