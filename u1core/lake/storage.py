"""Where a lake's files are kept: a local folder, or a prefix of an object store, by names below its root.

Either way a file appears whole or not at all. On a disk it is written under a temporary name, brought to the
disk and renamed; an object store shows an object only once its upload is complete.
"""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from pyarrow import fs

from u1core.common import atomic
from u1core.common.errors import LIMITS, TakenError, U1Error
from u1core.common.paths import as_text
from u1core.lake.lease import Lease

WORK = ".work"
"""Folder of files in the making and of unfinished state, outside every table."""

_MAX_NAME, _MAX_ROOT = 255, 3000
"""Bytes that a name may have, and a lake's root: of the 4096 of a path those below it need up to 900."""

_MAX_SHOWN = 200

_FORBIDDEN = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR),
    # A file or a broken link where a folder should be; links in a circle.
    *(errno.EEXIST, errno.ENOENT, errno.ELOOP, errno.ENAMETOOLONG),
)

SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss")
"""Object stores by URI scheme; s3 is the one that is tested."""


def resolve_address(address: Path | str) -> Path | str:
    """Return a lake's address in full: an absolute local path, or the URI as given.

    Example:
        >>> resolve_address("s3://bucket/lake/")
        's3://bucket/lake'

    Raises:
        U1Error: DuckDB or pyarrow could not read all that would lie there.
    """
    text = str(address)
    if isinstance(address, Path) or "://" not in text:
        return _readable(Path(address).absolute())
    if text.startswith("file://"):
        uri = urlsplit(text)
        if uri.netloc not in ("", "localhost") or uri.query or uri.fragment:
            todo = "write its path as it is; in a URI # is %23 and ? is %3F"
            raise U1Error("--lake to name a folder of this machine", text, todo)
        return _readable(Path(unquote(uri.path)).absolute())
    return text.rstrip("/")


def _readable(folder: Path) -> Path:
    """Return a folder's name, unless DuckDB or pyarrow would take it for another, or the system for too long.

    DuckDB splits its patterns at backslashes, pyarrow takes UTF-8 alone.
    """
    name = os.fsencode(folder)
    wrongs = {
        "a backslash in it": b"\\" in name,
        "a zero byte in it": b"\0" in name,
        "bytes that are no UTF-8 in it": name.decode(errors="ignore").encode() != name,
        f"{len(name)} bytes": len(name) > _MAX_ROOT
        or any(len(part) > _MAX_NAME for part in name.split(b"/")),
    }
    if found := [wrong for wrong, is_so in wrongs.items() if is_so]:
        wanted = f"--lake to name a folder in UTF-8, no backslash, at most {_MAX_NAME} bytes a name"
        shown = as_text(str(folder))
        got = f"{shown if len(shown) < _MAX_SHOWN else shown[:_MAX_SHOWN] + '...'}, with {found[0]}"
        raise U1Error(wanted, got, "name another folder, or a link to this one")
    return folder


class Storage(ABC):
    """The files of one lake.

    Attributes:
        address: The local folder, or the URI, as users name it.
        files: The same as a pyarrow filesystem; every name is relative to the root.
    """

    address: Path | str
    files: fs.FileSystem

    def path(self, name: str) -> Path | str:
        """Return a file's full name."""
        return self.address / name if isinstance(self.address, Path) else f"{self.address}/{name}"

    def names(self, folder: str) -> list[str]:
        """List the files below a folder, sorted; none where there is no such folder."""
        return sorted(info.path for info in self.infos(folder))

    def modified(self, folder: str, *, recursive: bool = True) -> dict[str, datetime]:
        """Return when each file below a folder was written, by the storage's own clock."""
        return {info.path: info.mtime for info in self.infos(folder, recursive)}

    def infos(self, folder: str, recursive: bool = True) -> list[fs.FileInfo]:
        """List the files below a folder with their sizes and times."""
        selector = fs.FileSelector(folder, allow_not_found=True, recursive=recursive)
        return [info for info in self.files.get_file_info(selector) if info.type == fs.FileType.File]

    def read(self, name: str) -> bytes | None:
        """Return a file's content; None where it is not."""
        try:
            with self.files.open_input_stream(name) as file:
                content: bytes = file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return content

    def write(self, name: str, content: bytes, beside: str = WORK) -> None:
        """Write a file atomically; `beside` is the folder for its temporary name."""
        with self.writing(name, beside) as path:
            path.write_bytes(content)

    @contextmanager
    def writing(self, name: str, beside: str = WORK) -> Iterator[Path]:
        """Yield a local file to write into, which becomes `name` when the block ends well."""
        new = self.new_file(name, beside)
        try:
            yield new.path
            new.keep()
        finally:
            new.discard()

    def delete(self, name: str) -> None:
        """Delete a file that may be there."""
        with suppress(FileNotFoundError):
            self.files.delete_file(name)

    def delete_folder(self, folder: str) -> None:
        """Delete a folder that may be there."""
        with suppress(FileNotFoundError):
            self.files.delete_dir(folder)

    @abstractmethod
    def is_empty(self) -> bool:
        """Tell whether nothing is here yet but files in the making."""

    @abstractmethod
    def new_file(self, name: str, beside: str) -> NewFile:
        """Begin a file."""

    @abstractmethod
    def open_local(self, name: str) -> BinaryIO:
        """Open a file for reading here and there: a large one is copied to this machine's disk, if need be.

        Raises:
            FileNotFoundError: It is not there.
        """

    @abstractmethod
    def alone(self) -> AbstractContextManager[None]:
        """Be the only writer of the lake; U1Error where another one is."""


class NewFile(ABC):
    """A file in the making.

    Attributes:
        path: Where to write it.
    """

    path: Path

    @abstractmethod
    def keep(self) -> None:
        """Make it appear under its name."""

    @abstractmethod
    def discard(self) -> None:
        """Forget it, unless it was kept."""


class LocalStorage(Storage):
    """A lake in a folder."""

    address: Path

    def __init__(self, address: Path) -> None:
        self.address = address
        self.files = fs.SubTreeFileSystem(str(address), fs.LocalFileSystem())

    def is_empty(self) -> bool:
        """Tell whether the folder is missing or holds nothing but files in the making."""
        if not self.address.exists():
            return True
        return self.address.is_dir() and all(p.name == WORK for p in self.address.iterdir())

    def new_file(self, name: str, beside: str) -> NewFile:
        """Begin a file under a temporary name."""
        return _LocalFile(self.address, name, beside)

    @contextmanager
    def writing(self, name: str, beside: str = WORK) -> Iterator[Path]:
        """Yield a local file to write into; a full or a forbidden disk is one line."""
        with writing_to(self.address), super().writing(name, beside) as path:
            yield path

    def open_local(self, name: str) -> BinaryIO:
        """Open a file."""
        return (self.address / name).open("rb")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold a file lock: it goes with its process, however that ends."""
        # Brings asyncio with it, and only sweeps need it.
        from filelock import FileLock, Timeout

        with writing_to(self.address):
            (self.address / WORK).mkdir(exist_ok=True)
            lock = FileLock(self.address / WORK / "sweep.lock", timeout=0)
            try:
                lock.acquire()
            except Timeout as e:
                todo = "wait for it to end, or name another lake"
                raise TakenError(f"no other sweep on {self.address}", "one that is writing now", todo) from e
        try:
            yield
        finally:
            lock.release()


class _LocalFile(NewFile):
    """Written under a temporary name, fsynced, renamed."""

    def __init__(self, root: Path, name: str, beside: str) -> None:
        self._root, target, folder = root, root / name, root / beside
        with writing_to(root):
            folder.mkdir(parents=True, exist_ok=True)
            target.parent.mkdir(parents=True, exist_ok=True)
        self._draft = atomic.Draft(target, folder)
        self.path = self._draft.path

    def keep(self) -> None:
        """Bring the file to the disk and rename it."""
        with writing_to(self._root):
            self._draft.keep()

    def discard(self) -> None:
        """Delete the temporary file."""
        self._draft.discard()


class ObjectStorage(Storage):
    """A lake below a prefix of an object store.

    Keys and endpoint come from where the store's own tools take them, such as AWS_ACCESS_KEY_ID,
    AWS_ENDPOINT_URL or ~/.aws, or from the URI's query as pyarrow reads it.
    """

    address: str

    def __init__(self, address: str) -> None:
        self.address = address
        try:
            files, prefix = fs.FileSystem.from_uri(address)
        except (pa.ArrowException, OSError) as e:
            raise _unreachable(address, e) from e
        self.files = fs.SubTreeFileSystem(prefix, files)

    def path(self, name: str) -> str:
        """Return an object's full name, without the options of the URI's query."""
        return f"{self.address.partition('?')[0]}/{name}"

    def is_empty(self) -> bool:
        """Tell whether nothing lies below the prefix but files in the making."""
        with self.reaching():
            entries = self.files.get_file_info(fs.FileSelector("", allow_not_found=True))
        return all(entry.base_name == WORK for entry in entries)

    def new_file(self, name: str, beside: str) -> NewFile:
        """Begin an object in a temporary file of this machine."""
        return _UploadedFile(self, name)

    def open_local(self, name: str) -> BinaryIO:
        """Copy an object to a temporary file, piece by piece, and open that."""
        copy: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        with self.files.open_input_stream(name) as source:
            shutil.copyfileobj(source, copy, 8 << 20)
        copy.seek(0)
        return copy

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold a lease: see `u1core.lake.lease` for what it guarantees."""
        with Lease(self, f"{WORK}/leases"):
            yield

    @contextmanager
    def reaching(self) -> Iterator[None]:
        """Turn a store that does not answer, or refuses, into one line."""
        try:
            yield
        except OSError as e:
            raise _unreachable(self.address, e) from e


class _UploadedFile(NewFile):
    """Written to this machine's disk, then uploaded by one call: an interrupt can't leave half of it."""

    def __init__(self, storage: ObjectStorage, name: str) -> None:
        self.storage, self.name = storage, name
        self._folder = tempfile.TemporaryDirectory(prefix="u1-upload-")
        self.path = Path(self._folder.name, "file")

    def keep(self) -> None:
        """Upload the file."""
        with self.path.open("rb") as file, self.storage.files.open_output_stream(self.name) as target:
            if self.path.stat().st_size:
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
                    target.write(whole)

    def discard(self) -> None:
        """Delete the temporary file."""
        self._folder.cleanup()


def open_storage(address: Path | str) -> Storage:
    """Open the storage that an address names.

    Raises:
        U1Error: It is a URI of another kind, or pyarrow cannot make sense of it.
    """
    full = resolve_address(address)
    if isinstance(full, Path):
        return LocalStorage(full)
    scheme, _, rest = full.partition("://")
    if scheme not in SCHEMES or not rest.partition("?")[0]:
        raise U1Error(
            "--lake to name a folder or s3://bucket/prefix",
            full,
            f"use a path, or one of {', '.join(SCHEMES)}",
        )
    if "@" in rest.partition("/")[0]:
        todo = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: addresses are shown and stored"
        raise U1Error("--lake without keys in it", f"{scheme}://...@{rest.partition('@')[2]}", todo)
    return ObjectStorage(full)


def _unreachable(address: str, error: Exception) -> U1Error:
    why = " ".join(str(error).split())
    todo = "check the bucket's name, and AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or ~/.aws"
    return U1Error(f"a lake at {address}", why, todo)


@contextmanager
def writing_to(root: Path, what: str = "lake") -> Iterator[None]:
    """Turn a full disk or a forbidden folder into one line.

    Args:
        root: The folder that is written to.
        what: Whose folder: 'lake', 'report', as the option is called.
    """
    try:
        yield
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            free = shutil.disk_usage(root if root.exists() else root.parent).free
            raise U1Error(
                f"room on the {what}'s disk",
                f"a full one: {free / 1e6:.0f} MB free at {root}",
                "make room and run the same command again: what is written is kept",
            ) from e
        if e.errno in LIMITS:
            todo = f"raise `{LIMITS[e.errno]}` and run the same command again: what is written is kept"
            raise U1Error(f"to be let write the {what} at {root}", os.strerror(e.errno), todo) from e
        if e.errno in _FORBIDDEN:
            raise U1Error(f"a writable {what} at {root}", str(e), f"name another folder with --{what}") from e
        raise
