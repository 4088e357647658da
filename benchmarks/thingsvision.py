"""Against thingsvision 2.7: rates from JPEG files to features on disk, CPU, same layer and weights.

    .venv/bin/python benchmarks/thingsvision.py

thingsvision (Muttenthaler and Hebart 2021, doi:10.3389/fninf.2021.679838) runs in an environment of its own,
made on first use (it pins torch 2.0; 6 GB), by its README: `extract_features` on a `DataLoader` in the
batch of 32 that it recommends, which the targets are about, and in a batch of 8, which was its fastest here.
Ours is the sweep's extraction from the JPEG files with nothing cached. Weights are random, normalised on
photographs, saved to one file that both load; that both see the same is checked on the pooled features.
Building the networks counts for neither side.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow.dataset as pads
import torch
import workload
from measure import ROUNDS, alternate, arguments, finish, ratio

from u1core.cells.cell import Cell
from u1core.common.runtime import Runtime
from u1core.images.cache import Images, select_images
from u1core.networks.build import build_network
from u1core.networks.preprocess import preprocessor

VERSION = "2.7.3"
README_BATCH, BEST_BATCH = 32, 8
PREPROCESSING = {
    "size": 224,
    "crop_pct": 0.875,
    "interpolation": "bilinear",
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
}
"""thingsvision's own; the newer weights of torchvision come with others."""


@dataclass(frozen=True)
class Case:
    """A network of torchvision, its bottleneck, images of a run, and the targets in float32 and bfloat16."""

    name: str
    layer: str
    images: int
    float32: str
    bfloat16: str = ""


CASES = (
    Case("resnet18", "layer4", 128, ">= 1.4", ">= 2.5"),
    Case("resnet50", "layer4", 64, ">= 1.25", ">= 2.5"),
    Case("mobilenet_v2", "features.18", 160, ">= 3"),
)


# -- the other side -----------------------------------------------------------------------------------


def environment() -> Path:
    """Return the Python of thingsvision's environment; makes it on first use."""
    folder = workload.workspace() / f"thingsvision-{VERSION}"
    python, mark = folder / "bin" / "python", folder / ".complete"
    if not mark.is_file():
        print(f"making {folder}: a download of about 3 GB", flush=True)
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--clear", "--python", "3.11", folder], check=True)
        wanted = f"thingsvision=={VERSION}"
        subprocess.run([*uv, "pip", "install", "--quiet", "--python", python, wanted], check=True)
        mark.touch()
    return python


class Thingsvision(AbstractContextManager["Thingsvision"]):
    """A process that extracts one layer of one network from a folder, as often as asked."""

    def __init__(self, case: Case, weights: Path, pictures: Path) -> None:
        side = Path(__file__).with_name("thingsvision_side.py")
        command = [environment(), "-P", side, case.name, weights, case.layer, pictures]
        self._process = subprocess.Popen(
            list(map(str, command)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __enter__(self) -> Self:
        self._answer()  # ready
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def extract(self, batch: int) -> dict[str, Any]:
        """Extract everything once: seconds, images, features (a file), files (in their order)."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{batch}\n")
        self._process.stdin.flush()
        return self._answer()

    def rate(self, batch: int) -> float:
        """Return images per second."""
        answer = self.extract(batch)
        return answer["images"] / answer["seconds"]

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("thingsvision ended without an answer")
        answer: dict[str, Any] = json.loads(line)
        return answer


# -- the same weights and pictures for both -----------------------------------------------------------


def weights(case: Case, pictures: Images) -> Path:
    """Save random weights, normalised on photographs so that no layer's values vanish or explode."""
    path = workload.workspace() / f"{case.name}.pth"
    if not path.is_file():
        entry = workload.network(f"torchvision:{case.name}", preprocessing=PREPROCESSING)
        network = build_network(entry).train()  # batch norms take the statistics of what they see
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None  # their mean over all batches
        with torch.no_grad(), pictures.open_pixels(entry.preprocessing) as source:
            chosen = select_images(pictures, 16)
            prepare = preprocessor(entry, is_prepared=source.is_prepared)
            for batch in source.batches([chosen[:16], chosen[16:]]):
                network(prepare(torch.from_numpy(batch.pixels)))
        torch.save(network.state_dict(), path)
    return path


def same_features(answer: dict[str, Any], cell: Cell, opened: Images) -> float:
    """Return the largest distance between pooled vectors of both sides, relative to the vectors' norm.

    Raises:
        RuntimeError: An image's vector is nearer to another image's: they are not of the same pictures.
    """
    theirs = np.load(answer["features"])
    with workload.empty_folder() as folder:
        workload.extraction(cell, opened, Runtime(), keep=folder / "lake")
        vectors = pads.dataset(folder / "lake" / "vectors", format="parquet")
        table = vectors.to_table(columns=["image_id", "pooled"]).sort_by("image_id")
    ours = np.stack(table["pooled"].to_numpy(zero_copy_only=False))
    theirs = theirs.reshape(len(theirs), ours.shape[1], -1).mean(axis=2)  # (n, N * h * w) to (n, N)
    order = np.argsort(answer["files"])
    distances = np.linalg.norm(ours[:, None] - theirs[None, order], axis=2)  # (n, n)
    if (distances.argmin(axis=1) != np.arange(len(ours))).any():
        raise RuntimeError("thingsvision's features are not of the same pictures as ours")
    return float((distances.diagonal() / np.linalg.norm(theirs[order], axis=1)).max())


# -- side by side -------------------------------------------------------------------------------------


def measure(case: Case, images: int, rounds: int) -> tuple[dict[str, float], dict[str, Any]]:
    """Return the ratios of one network, and the figures behind them."""
    entry = workload.photographs(images)
    pictures = Path(str(entry.options["path"]))
    opened = workload.open_images(entry)
    path = weights(case, opened)
    tapped = {"layers": [case.layer], "bottleneck": case.layer}
    model = workload.network(
        f"torchvision:{case.name}", weights=f"file:{path}", preprocessing=PREPROCESSING, **tapped
    )
    cells = {p: workload.cell_of(model, entry, opened, p) for p in ("float32", "bfloat16")}
    runtime = Runtime(batch_size=workload.BATCH if rounds > 1 else 4)
    with Thingsvision(case, path, pictures) as theirs:
        answer = theirs.extract(README_BATCH)
        distance = same_features(answer, cells["float32"], opened)
        rates = alternate(
            {
                "thingsvision": lambda: theirs.rate(README_BATCH),
                "thingsvision, its best batch": lambda: theirs.rate(BEST_BATCH),
                "float32": lambda: workload.first_pass(entry, cells["float32"], runtime.batch_size),
                "bfloat16": lambda: workload.first_pass(entry, cells["bfloat16"], runtime.batch_size),
            },
            rounds,
        )
    ours = [name for name in rates if not name.startswith("thingsvision")]
    ratios = {name: ratio(rates[name], rates["thingsvision"]) for name in ours}
    ratios |= {
        f"{name}, its best batch": ratio(rates[name], rates["thingsvision, its best batch"]) for name in ours
    }
    return ratios, {
        "images": images,
        "images per second": {name: median(values) for name, values in rates.items()},
        "batches": {"thingsvision": README_BATCH, "its best": BEST_BATCH, "ours": runtime.batch_size},
        "largest relative distance of pooled features": distance,
    }


def main() -> None:
    options = arguments(__doc__).parse_args()
    ratios, targets, figures = {}, {}, {}
    for case in CASES[:1] if options.quick else CASES:
        images, rounds = (40, 1) if options.quick else (case.images, ROUNDS)
        found, figures[case.name] = measure(case, images, rounds)
        print(case.name, figures[case.name], flush=True)
        for kind, value in found.items():
            ratios[f"{case.name} {kind}"] = value
        wanted = {"float32": case.float32, "bfloat16": case.bfloat16}
        targets |= {f"{case.name} {kind}": target for kind, target in wanted.items() if target}
    finish("thingsvision", ratios, targets, figures)


if __name__ == "__main__":
    main()
