"""Files and folders that are there whole or not at all, whatever ends the process that writes them."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SUFFIX = ".tmp"
"""Of files in the making: no glob over a lake's tables meets it, and what a crash leaves is known by it."""

_SHOWN = 100
"""Characters of the name to be in a temporary one, so that what a crash leaves says whose it was."""


class Draft:
    """A file in the making, under a temporary name until it is kept; a link to a file stays one.

    Args:
        target: Its name to be; the folder is there.
        folder: Of the temporary name, there too and on the same disk; beside the file if left out.
        is_lasting: Whether it must outlive a crash of the machine: it is on the disk before it is renamed.

    Attributes:
        path: Where to write it.
    """

    def __init__(self, target: Path, folder: Path | None = None, *, is_lasting: bool = True) -> None:
        self._target, self._is_lasting = Path(os.path.realpath(target)), is_lasting
        name = f".{target.name[:_SHOWN]}.{uuid.uuid4().hex}{SUFFIX}"
        self.path = (folder or self._target.parent) / name

    def keep(self) -> None:
        """Give the file its name, in place of whatever has it.

        Raises:
            OSError: The disk is full, or refuses.
        """
        if self._is_lasting:
            bring_to_disk(self.path)
        self.path.replace(self._target)
        if self._is_lasting:
            bring_to_disk(self._target.parent)

    def discard(self) -> None:
        """Delete the file, unless it was kept."""
        with suppress(OSError):
            self.path.unlink()


@contextmanager
def replacing(target: Path, *, is_lasting: bool = True) -> Iterator[Path]:
    """Yield a path to write to, which becomes `target` when the block ends well; an error leaves no trace.

    Args:
        target: The file; its folder is there.
        is_lasting: See `Draft`.

    Raises:
        OSError: The disk is full, or refuses.
    """
    draft = Draft(target, is_lasting=is_lasting)
    try:
        yield draft.path
        draft.keep()
    finally:
        draft.discard()


def write_text(target: Path, text: str, *, is_lasting: bool = True) -> None:
    """Write a text as UTF-8 in place of whatever has the name; its folder is there.

    Args:
        target: The file.
        text: All of it.
        is_lasting: See `Draft`.

    Raises:
        OSError: The disk is full, or refuses; an older file stays.
    """
    with replacing(target, is_lasting=is_lasting) as path:
        path.write_text(text, encoding="utf-8")


def bring_to_disk(path: Path) -> None:
    """Wait until what is written to a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish_folder(ready: Path, target: Path) -> None:
    """Rename a finished folder, unless another process was first: then its folder stays, and so does ours.

    Args:
        ready: On the same disk, its files on it.
        target: Its name to be.

    Raises:
        OSError: The disk refuses.
    """
    try:
        ready.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
