"""Paths and file names as users write them."""

from __future__ import annotations

import os
from pathlib import Path


def leads_out(path: Path, folder: Path) -> bool:
    """Tell whether a path, its `..` and symbolic links resolved, lies outside a folder; opens nothing."""
    real, inside = os.path.realpath(path), os.path.realpath(folder)
    return os.path.commonpath([real, inside]) != inside


def matching(pattern: Path) -> list[Path]:
    """List the files that a path names, which may be a glob, sorted."""
    if pattern.exists():
        return [pattern]
    whole = pattern.absolute()
    return sorted(p for p in Path(whole.anchor).glob(str(whole.relative_to(whole.anchor))) if p.is_file())


def as_text(name: str) -> str:
    """Return a file's name as text that can be stored: bytes that are not UTF-8 are escaped."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def stamp(state: os.stat_result) -> bytes:
    """Return what differs once a file's content does.

    Size and time of modification are not enough: `rsync -t`, `cp -p` and `tar` bring the time of another
    content along. No program sets the time of the last change of a file.
    """
    return f"\0{state.st_size}\0{state.st_mtime_ns}\0{state.st_ctime_ns}\n".encode()
