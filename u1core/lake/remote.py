"""DuckDB's view of a lake on an object store: through pyarrow, so that no extension has to be downloaded.

DuckDB asks for lists and files again and again, and every answer is a request to the store. Lists are kept
for a moment; files of moderate size are fetched whole, once, and kept while they do not change.
"""

from __future__ import annotations

import fnmatch
import io
import threading
import time
from collections import OrderedDict
from datetime import UTC, datetime
from typing import IO, Any

from fsspec.implementations.arrow import ArrowFSWrapper
from pyarrow import fs

from u1core.lake.storage import Storage

PROTOCOL = "u1lake"

_LIST_S = 2.0
_WHOLE_BYTES = 16 << 20
_KEPT_BYTES = 512 << 20


class LakeFiles(ArrowFSWrapper):  # type: ignore[misc]
    """The files of one lake as `u1lake://<table>/...`; nothing else of the store can be named, or written."""

    protocol = PROTOCOL
    cachable = False

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.files)
        self._storage = storage
        self._lock = threading.RLock()
        self._lists: dict[str, tuple[float, dict[str, fs.FileInfo]]] = {}
        self._kept: OrderedDict[tuple[str, datetime], bytes] = OrderedDict()

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix(f"{PROTOCOL}://")

    def glob(self, path: str, **_: object) -> list[str]:
        """List the files that a pattern names; `*` crosses folders, as `**` does."""
        pattern = self._strip_protocol(path)
        folder = pattern.partition("*")[0].rpartition("/")[0]
        return sorted(fnmatch.filter(self._list(folder), pattern.replace("**/", "")))

    def info(self, path: str, **_: object) -> dict[str, Any]:
        """Return name, size and type of a file."""
        info = self._info(self._strip_protocol(path))
        return {"name": info.path, "size": info.size, "type": "file", "mtime": info.mtime}

    def exists(self, path: str, **_: object) -> bool:
        """Tell whether a file is there."""
        try:
            return bool(self._info(self._strip_protocol(path)))
        except FileNotFoundError:
            return False

    def modified(self, path: str) -> datetime:
        """Return when a file was written."""
        modified: datetime = self._info(self._strip_protocol(path)).mtime
        return modified.astimezone(UTC)

    def _open(self, path: str, mode: str = "rb", *args: object, **kwargs: object) -> IO[bytes]:
        if mode != "rb":
            raise PermissionError(f"{path}: the lake is only read")
        info = self._info(path)
        if info.size > _WHOLE_BYTES:
            large: IO[bytes] = super()._open(path, mode, seekable=True)
            return large
        return io.BytesIO(self._whole(info))

    def _whole(self, info: fs.FileInfo) -> bytes:
        key = info.path, info.mtime
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        with self._storage.files.open_input_file(info.path) as file:
            content: bytes = file.read()
        with self._lock:
            self._kept[key] = content
            while sum(map(len, self._kept.values())) > _KEPT_BYTES:
                self._kept.popitem(last=False)
        return content

    def _info(self, name: str) -> fs.FileInfo:
        with self._lock:
            for _, files in self._lists.values():
                if name in files:
                    return files[name]
        found = self._storage.files.get_file_info(name)
        if found.type != fs.FileType.File:
            raise FileNotFoundError(name)
        return found

    def _list(self, folder: str) -> dict[str, fs.FileInfo]:
        now = time.monotonic()
        with self._lock:
            at, files = self._lists.get(folder, (-_LIST_S, {}))
            if now - at >= _LIST_S:
                files = {info.path: info for info in self._storage.infos(folder)}
                self._lists[folder] = now, files
            return files
