"""`u1 doctor`: what this machine has, what is wrong with it, and what to do."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version
from rich.console import Console
from rich.table import Table

from flows.cli.terminal import plain
from tasks import check_settings
from u1core.common.errors import U1Error
from u1core.lake.storage import resolve_address
from u1core.lake.store import Lake

_FREE_GB = 5
_TRIED_BYTES = 1 << 16

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
        # Before what needs it.
        "temporary": temporary_diagnoses,
        "packages": package_diagnoses,
        "torch": torch_diagnoses,
        "prefect": prefect_diagnoses,
        "server": server_diagnoses,
        "disk": lambda: disk_diagnoses(lake),
        "cache": cache_diagnoses,
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
    """Ask the configured Prefect server, if one is configured; else see what an embedded one needs."""
    check_settings()
    from prefect.settings import PREFECT_API_URL

    from flows.server import check_embedded, check_server

    if url := PREFECT_API_URL.value():
        check_server(url)
        return [Diagnosis("server", "good", f"{url} answers")]
    check_embedded()
    return [Diagnosis("server", "good", "none configured: each sweep starts an embedded one")]


def disk_diagnoses(lake: Path | str) -> list[Diagnosis]:
    """Look at the room where the lake is to lie, or whether its object store answers."""
    address = resolve_address(lake)
    if isinstance(address, str):
        Lake.find(address)
        return [Diagnosis("lake", "good", f"{address} answers")]
    return [_room("disk", address, f"the lake at {lake}", "name another folder with --lake")]


def cache_diagnoses() -> list[Diagnosis]:
    """Look at the room for decoded images."""
    from u1core.images.cache import default_cache

    cache = default_cache().absolute()
    return [_room("cache", cache, f"decoded images at {cache}", "set U1_CACHE to another folder")]


def temporary_diagnoses() -> list[Diagnosis]:
    """Look at the folder for temporary files."""
    try:
        with tempfile.TemporaryFile() as file:
            file.write(bytes(_TRIED_BYTES))
    except OSError as e:
        todo = "set TMPDIR to a folder with room"
        return [Diagnosis("temporary", "fault", " ".join(str(e).split()), todo)]
    return [Diagnosis("temporary", "good", tempfile.gettempdir())]


def _room(topic: str, folder: Path, what: str, todo: str) -> Diagnosis:
    """Look at the room in a folder, or where it is to be."""
    existing = next(p for p in (folder, *folder.parents) if os.path.lexists(p))
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return Diagnosis(topic, "fault", f"{existing} is not a folder that can be written", todo)
    free = shutil.disk_usage(existing).free / 1e9
    state, remedy = ("good", "") if free > _FREE_GB else ("note", f"make room, or {todo}")
    return Diagnosis(topic, state, f"{free:.0f} GB free for {what}", remedy)


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
