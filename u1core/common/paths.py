"""Paths and file names as users write them."""

from __future__ import annotations

import os
from pathlib import Path

from u1core.common.errors import U1Error


def at_home(path: Path | str) -> Path:
    """Return a path with `~` and `~name` as the folders that they stand for.

    Raises:
        U1Error: There is no such home: a container's user may have none.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as e:
        todo = "set HOME to a folder that can be written, or the path in full (U1_CACHE is the cache's)"
        raise U1Error("a user with a home folder", f"none for {path}", todo) from e


def leads_out(path: Path, folder: Path) -> bool:
    """Tell whether a path, its `..` and symbolic links resolved, lies outside a folder; opens nothing."""
    real, inside = os.path.realpath(path), os.path.realpath(folder)
    return os.path.commonpath([real, inside]) != inside


def matching(pattern: Path) -> list[Path]:
    """List the files that a path names, which may be a glob, sorted; folders that are there are no glob."""
    if pattern.exists():
        return [pattern]
    whole = pattern.absolute()
    above = next(folder for folder in whole.parents if folder.is_dir())
    return sorted(p for p in above.glob(str(whole.relative_to(above))) if p.is_file())


def as_text(name: str) -> str:
    """Return a file's name as text that can be stored: bytes that are not UTF-8 are escaped."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def stamp(state: os.stat_result) -> bytes:
    """Return what differs once a file's content does.

    Size and time of modification are not enough: `rsync -t`, `cp -p` and `tar` bring the time of another
    content along. No program sets the time of the last change of a file.
    """
    return f"\0{state.st_size}\0{state.st_mtime_ns}\0{state.st_ctime_ns}\n".encode()
