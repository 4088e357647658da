"""`u1 doctor`: what this machine has, what is wrong with it, and what to do."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version
from rich.console import Console
from rich.table import Table

from flows.cli.terminal import plain
from u1core.common.errors import U1Error
from u1core.lake.storage import resolve_address
from u1core.lake.store import Lake

INSTALL = "`make install` sets the tested versions up"

# prefect 3.8 declares neither bound; both were measured to break it.
PREFECT_TRAPS = {
    "fastapi": (Version("0.151"), "prefect's server does not start with it"),
    "sqlalchemy": (Version("2.1"), "prefect's scheduler silently creates no scheduled run with it"),
}


@dataclass(frozen=True)
class Diagnosis:
    """One thing examined: state 'good', 'note' or 'fault', what was seen, and what to do."""

    topic: str
    state: str
    seen: str
    todo: str = ""


def diagnose(lake: Path | str, catalog: Path | None, models_dir: Path | None) -> list[Diagnosis]:
    """Examine everything; an examination that breaks is itself a diagnosis."""
    checks: dict[str, Callable[[], list[Diagnosis]]] = {
        "python": lambda: [Diagnosis("python", "good", sys.version.split()[0])],
        "packages": package_diagnoses,
        "torch": torch_diagnoses,
        "prefect": prefect_diagnoses,
        "server": server_diagnoses,
        "disk": lambda: disk_diagnoses(lake),
        "catalog": lambda: catalog_diagnoses(catalog, models_dir),
    }
    diagnoses = []
    for topic, check in checks.items():
        try:
            diagnoses += check()
        except U1Error as e:
            diagnoses.append(Diagnosis(topic, "fault", f"expected {e.expected}; got {e.got}", e.todo))
        except Exception as e:
            diagnoses.append(
                Diagnosis(topic, "fault", f"{type(e).__name__}: {' '.join(str(e).split())}", INSTALL)
            )
    return diagnoses


def package_diagnoses() -> list[Diagnosis]:
    """Compare every declared dependency with what is installed."""
    faults = []
    for line in requires("u1sweep") or []:
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            faults.append(Diagnosis("packages", "fault", f"{requirement.name} is missing", INSTALL))
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            wanted = f"u1sweep needs {requirement.name}{requirement.specifier}"
            faults.append(
                Diagnosis("packages", "fault", f"{requirement.name} {installed}; {wanted}", INSTALL)
            )
    return faults or [
        Diagnosis("packages", "good", f"u1sweep {version('u1sweep')}, all dependencies in their bounds")
    ]


def torch_diagnoses() -> list[Diagnosis]:
    """Check that torch and torchvision belong together, by running an operator compiled for the pair."""
    import torch

    try:
        import torchvision

        torchvision.ops.nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([1.0]), 0.5)
    except (ImportError, RuntimeError, AttributeError, OSError) as e:
        why = " ".join(str(e).split())[:120]
        return [mismatch(torch.__version__, _version_or_missing("torchvision"), why)]
    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return [
        Diagnosis(
            "torch",
            "good",
            f"torch {torch.__version__} and torchvision {torchvision.__version__} work together",
        ),
        Diagnosis(
            "devices", "good", f"cpu with {torch.get_num_threads()} threads; {', '.join(devices) or 'no GPU'}"
        ),
    ]


def mismatch(torch_version: str, torchvision_version: str, why: str) -> Diagnosis:
    """Name the torch/torchvision trap."""
    return Diagnosis(
        "torch",
        "fault",
        f"torch {torch_version} and torchvision {torchvision_version} were not built for each other ({why})",
        f"install the pair from one index in one command; {INSTALL}",
    )


def _version_or_missing(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(missing)"


def prefect_diagnoses() -> list[Diagnosis]:
    """Name the fastapi and SQLAlchemy traps; pip does not see them, as prefect declares no upper bound."""
    return traps_in({name: _version_or_missing(name) for name in ("prefect", *PREFECT_TRAPS)})


def traps_in(versions: dict[str, str]) -> list[Diagnosis]:
    """Return a fault for every package too new for prefect 3.8, from versions by package name."""
    faults = [
        Diagnosis(
            "prefect",
            "fault",
            f"{name} {versions[name]} is too new for prefect {versions['prefect']}: {harm}",
            f'install "{name}<{bound}"',
        )
        for name, (bound, harm) in PREFECT_TRAPS.items()
        if re.match(r"\d", versions[name]) and Version(versions[name]) >= bound
    ]
    seen = ", ".join(f"{name} {number}" for name, number in versions.items())
    return faults or [Diagnosis("prefect", "good", seen)]


def server_diagnoses() -> list[Diagnosis]:
    """Ask the configured Prefect server, if one is configured."""
    import httpx
    from prefect.settings import PREFECT_API_URL

    url = PREFECT_API_URL.value()
    if not url:
        return [Diagnosis("server", "good", "none configured: each sweep starts an embedded one")]
    try:
        httpx.get(f"{url}/health", timeout=5).raise_for_status()
    except httpx.HTTPError as e:
        todo = "start it with `prefect server start`, or unset PREFECT_API_URL to use the embedded one"
        return [Diagnosis("server", "fault", f"{url} does not answer ({e})", todo)]
    return [Diagnosis("server", "good", f"{url} answers")]


def disk_diagnoses(lake: Path | str) -> list[Diagnosis]:
    """Look at the room where the lake is to lie, or whether its object store answers."""
    address = resolve_address(lake)
    if isinstance(address, str):
        Lake.find(address)
        return [Diagnosis("lake", "good", f"{address} answers")]
    existing = next(p for p in (address, *address.parents) if p.exists())
    free = shutil.disk_usage(existing).free / 1e9
    writable = os.access(existing, os.W_OK)
    if not writable:
        return [Diagnosis("disk", "fault", f"{existing} is not writable", "name another folder with --lake")]
    state, todo = ("good", "") if free > 5 else ("note", "make room, or name another folder with --lake")
    return [Diagnosis("disk", state, f"{free:.0f} GB free for the lake at {lake}", todo)]


def catalog_diagnoses(catalog: Path | None, models_dir: Path | None) -> list[Diagnosis]:
    """Validate the catalog and look for the weights it names."""
    from u1core.catalog.catalog import load_catalog
    from u1core.networks.weights import weights_status

    loaded = load_catalog(catalog)
    diagnoses = [
        Diagnosis("catalog", "good", f"{len(loaded.models)} models, {len(loaded.datasets)} datasets")
    ]
    for entry in loaded.models.values():
        if missing := weights_status(entry, models_dir):
            diagnoses.append(Diagnosis("weights", "note", f"{entry.id}: {missing}"))
    return diagnoses


def print_diagnoses(diagnoses: list[Diagnosis], out: Console) -> None:
    """Print the diagnoses as a table."""
    colours = {"good": "green", "note": "yellow", "fault": "red"}
    table = Table("", "topic", "seen", "what to do")
    for d in diagnoses:
        table.add_row(f"[{colours[d.state]}]{d.state}[/]", d.topic, plain(d.seen), plain(d.todo))
    out.print(table)
