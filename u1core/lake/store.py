"""The lake: which Parquet lies where, and what makes a cell readable.

    lake/<table>/dataset=<id>/model=<id>/variant=<id>/[layer=<id>/]<key>-<part>.parquet

`lake/u1lake.json` marks the folder as a lake; `lake/.work/` holds files in the making and the state of
unfinished cells, outside every table's glob. A cell is readable once its row in `cells` exists. The folder is
a local one or a prefix of an object store (`u1core.lake.storage`).
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from u1core.common.errors import TakenError, U1Error
from u1core.lake import index
from u1core.lake.schema import CELL_TABLES, SCHEMA_VERSION, SCHEMAS
from u1core.lake.storage import WORK, NewFile, ObjectStorage, Storage, open_storage, writing_to

__all__ = [
    "MARK",
    "CellId",
    "Lake",
    "RegistrationId",
    "RunId",
    "SweepId",
    "key_of",
    "list_column",
    "list_matrix",
    "sha256_of",
    "writing_to",
]

MARK = "u1lake.json"

_CHUNK = 8 << 20
_TURN_S = 2.0


@dataclass(frozen=True)
class CellId:
    """What the lake knows a cell by."""

    key: str
    dataset: str
    model: str
    variant: str

    @property
    def columns(self) -> dict[str, str]:
        """The key columns that every row of the cell carries."""
        return {"cell_key": self.key, "dataset": self.dataset, "model": self.model, "variant": self.variant}

    @property
    def folder(self) -> str:
        """Where its files lie below each table."""
        return f"dataset={self.dataset}/model={self.model}/variant={self.variant}"

    def __str__(self) -> str:
        suffix = "" if self.variant == "original" else f" ({self.variant})"
        return f"{self.model}{suffix} on {self.dataset}"


@dataclass(frozen=True)
class RunId:
    """What the lake knows a training run by."""

    key: str
    experiment: str
    task: str
    network: str
    arm: str
    u1_weight: float
    seed: int

    @property
    def columns(self) -> dict[str, Any]:
        """The key columns that every row of the run carries."""
        fields = {name: value for name, value in vars(self).items() if name != "key"}
        return {"run_key": self.key, **fields}

    @property
    def folder(self) -> str:
        """Where its files lie below each table, in names that every file system and store takes."""
        parts = (f"task={self.task}", f"network={self.network}", f"arm={self.arm}")
        return "/".join(re.sub(r"[^\w.=-]", "-", part) for part in parts)


@dataclass(frozen=True)
class SweepId:
    """What the lake knows a sweep by that came to its end."""

    key: str
    concluded_at: datetime

    @classmethod
    def draw(cls, before: Iterable[datetime] = ()) -> SweepId:
        """Return the id of a sweep that ends now, after those that ended before."""
        return cls(uuid.uuid4().hex[:16], _after(before))

    @property
    def columns(self) -> dict[str, Any]:
        """The key columns that every row of the sweep carries."""
        return {"sweep_key": self.key, "concluded_at": self.concluded_at}

    @property
    def folder(self) -> str:
        """Where its files lie below each table."""
        return f"year={self.concluded_at.year}"


@dataclass(frozen=True)
class RegistrationId:
    """What the lake knows a registered plan by."""

    key: str
    registered_at: datetime

    @classmethod
    def now(cls, key: str, committed: Iterable[datetime]) -> RegistrationId:
        """Return the id of a plan that is registered now, after the cells that were committed before."""
        return cls(key, _after(committed))

    @property
    def columns(self) -> dict[str, Any]:
        """The key columns of its row."""
        return {"registration_key": self.key, "registered_at": self.registered_at}

    @property
    def folder(self) -> str:
        """Where its file lies below the table."""
        return f"year={self.registered_at.year}"


AnyId = CellId | RunId | SweepId | RegistrationId


class Lake:
    """A lake.

    Attributes:
        root: Its folder, or its URI.
    """

    def __init__(self, address: Path | str) -> None:
        self.storage: Storage = open_storage(address)
        self.root = self.storage.address

    @classmethod
    def open(cls, address: Path | str, *, create: bool = False) -> Lake:
        """Open a lake, or make one where nothing is.

        Raises:
            U1Error: It is missing (and `create` is false), is not a lake, is of another version, or can't
                be reached.
        """
        lake = cls(address)
        version = lake.version()
        if version is None:
            version = lake._create(create)
        if version != SCHEMA_VERSION:
            is_older = version < SCHEMA_VERSION
            todo = f"run `u1 migrate --lake {lake.root}`" if is_older else "use a newer u1sweep"
            raise U1Error(
                f"a lake of schema version {SCHEMA_VERSION}", f"version {version} in {lake.root}", todo
            )
        return lake

    @classmethod
    def find(cls, address: Path | str) -> Lake | None:
        """Open a lake, or return None where nothing is yet; anything else there raises U1Error."""
        lake = cls(address)
        with lake._reaching():
            nothing = lake.storage.is_empty() and lake.storage.read(MARK) is None
        return None if nothing else cls.open(address)

    def version(self) -> int | None:
        """Return the schema version of the lake; None where there is no lake yet.

        Raises:
            U1Error: The mark can't be read, or the lake not be reached.
        """
        with self._reaching():
            mark = self.storage.read(MARK)
        return None if mark is None else _version(mark, self.storage.path(MARK))

    def write_mark(self) -> None:
        """Say that this is a lake of the present schema version."""
        mark = json.dumps({"format": "u1sweep lake", "schema_version": SCHEMA_VERSION}) + "\n"
        with self._reaching():
            self.storage.write(MARK, mark.encode())

    @contextmanager
    def alone(self, waiting: Callable[[U1Error], None] | None = None) -> Iterator[None]:
        """Be the only sweep that writes to this lake.

        On a disk the lock goes with the process, however it ends; on an object store within `LEASE_S`.

        Args:
            waiting: Called with who is writing, about every other second, until it is our turn; None does
                not wait.

        Raises:
            TakenError: Another sweep is writing, and we do not wait.
        """
        with ExitStack() as stack:
            while True:
                try:
                    stack.enter_context(self.storage.alone())
                    break
                except TakenError as taken:
                    if waiting is None:
                        raise
                    waiting(taken)
                    time.sleep(_TURN_S)
            yield

    def _reaching(self) -> AbstractContextManager[None]:
        return self.storage.reaching() if isinstance(self.storage, ObjectStorage) else nullcontext()

    def _create(self, create: bool) -> int:
        with self._reaching():
            is_empty = self.storage.is_empty()
        if not is_empty:
            raise U1Error(
                f"--lake to name a lake (a folder with {MARK}) or a new folder",
                f"{self.root}, which holds something else",
                "name another folder",
            )
        if not create:
            raise U1Error(
                "--lake to name a lake",
                f"{self.root}, where none is",
                "run `u1 sweep` first, or name its lake",
            )
        self.write_mark()
        return SCHEMA_VERSION

    # -- tables -----------------------------------------------------------------------------------

    def path(self, table: str, cell: AnyId, *, layer: str | None = None, part: int = 0) -> Path | str:
        """Return the full name of a part of a table."""
        return self.storage.path(_part_name(table, cell, layer, part))

    def write(
        self,
        table: str,
        cell: AnyId,
        columns: Mapping[str, Any],
        *,
        layer: str | None = None,
        part: int = 0,
    ) -> None:
        """Write one file of a table atomically.

        Args:
            table: A table of `u1core.lake.schema`.
            cell: Whose rows these are.
            columns: Column name to values of one length; the cell's keys and the layer are added, and
                NaN becomes null. Columns left out are null.
            layer: Folder of one layer, or None for a table that is not split by layer.
            part: Number of the part.

        Raises:
            U1Error: The table has no such column.
        """
        rows = len(next(iter(columns.values())))
        keys: dict[str, Any] = {**cell.columns, **({"layer": layer} if layer is not None else {})}
        filled = {name: [value] * rows for name, value in keys.items()} | dict(columns)
        with self.storage.writing(_part_name(table, cell, layer, part), _work(cell)) as path:
            _write(table, filled, rows, path)

    def parts(self, table: str, cell: AnyId, *, layer: str | None = None) -> list[int]:
        """Return the numbers of the parts that are there, ascending."""
        folder, _, first = _part_name(table, cell, layer, 0).rpartition("/")
        start = f"{folder}/{first.partition('-')[0]}-"
        names = [name for name in self.storage.names(folder) if name.startswith(start)]
        return sorted(int(name.removeprefix(start).removesuffix(".parquet")) for name in names)

    def read(
        self,
        table: str,
        cell: AnyId,
        *,
        layer: str | None = None,
        part: int = 0,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Read one part of a table: all of its columns, or those named."""
        name = _part_name(table, cell, layer, part)
        with self.storage.files.open_input_file(name) as file, pq.ParquetFile(file) as parquet:
            return parquet.read(columns=columns)

    def batches(
        self, table: str, cell: CellId, rows: int, columns: Sequence[str], *, layer: str | None = None
    ) -> Iterator[pa.Table]:
        """Yield the rows of all parts in their order, in tables of at most `rows` rows."""
        for part in self.parts(table, cell, layer=layer):
            name = _part_name(table, cell, layer, part)
            with self.storage.files.open_input_file(name) as file, pq.ParquetFile(file) as parquet:
                for batch in parquet.iter_batches(rows, columns=columns):
                    yield pa.Table.from_batches([batch])

    # -- unfinished state -------------------------------------------------------------------------

    def work(self, cell: AnyId) -> Path | str:
        """Return the folder of a cell's unfinished state, on the lake's storage: any machine can go on."""
        return self.storage.path(_work(cell))

    def save_state(self, cell: AnyId, name: str, content: bytes) -> None:
        """Save a file of unfinished state atomically."""
        self.storage.write(f"{_work(cell)}/{name}", content, _work(cell))

    def load_state(self, cell: AnyId, name: str) -> bytes | None:
        """Return a file of unfinished state, None where it is not."""
        return self.storage.read(f"{_work(cell)}/{name}")

    def states(self, cell: AnyId) -> list[str]:
        """Return the names of a cell's files of unfinished state, sorted."""
        prefix = f"{_work(cell)}/"
        return [name.removeprefix(prefix) for name in self.storage.names(_work(cell))]

    def new_state(self, cell: AnyId, name: str) -> NewFile:
        """Begin a large file of unfinished state."""
        return self.storage.new_file(f"{_work(cell)}/{name}", _work(cell))

    def open_state(self, cell: AnyId, name: str) -> BinaryIO:
        """Open a large file of unfinished state, to be read here and there."""
        return self.storage.open_local(f"{_work(cell)}/{name}")

    def drop_work(self, cell: AnyId) -> None:
        """Delete the unfinished state of what is finished."""
        self.storage.delete_folder(_work(cell))

    def next_selection(self, run: RunId) -> datetime:
        """Return when a run that is selected now was: after every other of its task and network."""
        folder = f"training_runs/{run.folder}".rpartition("/")[0]
        rows = index.read_files(self.storage, self.storage.names(folder))
        return _after(row["selected_at"] for row in rows)

    # -- cells ------------------------------------------------------------------------------------

    def cells(self) -> dict[str, dict[str, Any]]:
        """Return the rows of `cells` by cell key.

        Raises:
            U1Error: A file is damaged, or the storage does not answer.
        """
        with self._reaching():
            return index.all_rows(self.storage)

    def _namesakes(self, cell: CellId) -> dict[str, dict[str, Any]]:
        """Return the rows of `cells` of the same dataset, model and variant."""
        names = self.storage.names(_part_name("cells", cell, None, 0).rpartition("/")[0])
        return {row["cell_key"]: row for row in index.read_files(self.storage, names)}

    def commit(self, cell: CellId, row: Mapping[str, Any]) -> None:
        """Make a cell readable: write what its files are, its row of `cells`, then drop its unfinished state.

        Rows of failed tries of the same dataset, model and variant are dropped: this cell replaces them.
        """
        others = self._namesakes(cell)
        now = {"committed_at": datetime.now(UTC), "selected_at": _after(_selected(others))}
        self.write_sums(cell)
        self.write("cells", cell, {name: [value] for name, value in {**now, **row}.items()})
        for key, other in others.items():
            if key != cell.key and other["status"] == "failed":
                self.storage.delete(_part_name("cells", CellId(key, *_names(other)), None, 0))
        self.drop_work(cell)

    def write_sums(self, cell: CellId) -> None:
        """Write size and sha256 of every file of a cell."""
        rows = []
        for table in CELL_TABLES:
            if table in ("cells", "files"):
                continue
            for name in self.storage.names(f"{table}/{cell.folder}"):
                if key_of(name) == cell.key:
                    rows.append((table, name, *sha256_of(self.storage, name)))
        columns = zip(*rows, strict=True) if rows else ((),) * 4
        self.write("files", cell, dict(zip(("table_name", "path", "bytes", "sha256"), columns, strict=True)))

    def mark_failed(self, cell: CellId, row: Mapping[str, Any]) -> None:
        """Write the row of a failed cell; its unfinished state stays, so that the next try resumes."""
        now = datetime.now(UTC)
        self.write("cells", cell, {name: [value] for name, value in {"selected_at": now, **row}.items()})

    def select(self, *cells: CellId) -> None:
        """Make committed cells the current ones of their dataset, model and variant."""
        rows = self.cells()
        latest: dict[tuple[str, str, str], dict[str, Any]] = {}
        for row in sorted(rows.values(), key=lambda row: row["selected_at"]):
            latest[_names(row)] = row
        for cell in cells:
            if latest[cell.dataset, cell.model, cell.variant]["cell_key"] != cell.key:
                # Its sums stay those of its first commit: what was damaged since is not blessed.
                row = rows[cell.key] | {"selected_at": _after(_selected(rows))}
                self.write("cells", cell, {name: [value] for name, value in row.items()})


def encode(table: str, columns: Mapping[str, Any], rows: int) -> bytes:
    """Return a file of a table as `Lake.write` writes it, keys and all."""
    sink = pa.BufferOutputStream()
    _write(table, columns, rows, sink)
    return bytes(sink.getvalue())


def _write(table: str, columns: Mapping[str, Any], rows: int, to: Path | pa.NativeFile) -> None:
    schema = SCHEMAS[table]
    if unknown := columns.keys() - set(schema.names):
        todo = "declare them in u1core/lake/schema.py, or leave them out"
        raise U1Error(f"columns that the table {table} has", ", ".join(sorted(unknown)), todo)
    arrays = [_array(columns.get(f.name), f.type, rows) for f in schema]
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), to, **_encoding(schema))


def _selected(rows: Mapping[str, Mapping[str, Any]]) -> list[datetime]:
    return [row["selected_at"] for row in rows.values()]


def _after(before: Iterable[datetime]) -> datetime:
    """Return now; where the clock was set back, a moment after all that was before."""
    return max([datetime.now(UTC), *(moment + timedelta(microseconds=1) for moment in before)])


def key_of(name: str) -> str:
    """Return the key of the cell or run that a file of a table belongs to.

    Example:
        >>> key_of("records/dataset=d/model=m/variant=original/layer=l/0123abcd-00002.parquet")
        '0123abcd'
    """
    return name.rpartition("/")[2].rpartition("-")[0]


def sha256_of(storage: Storage, name: str) -> tuple[int, str]:
    """Return size and sha256 of a file.

    Raises:
        FileNotFoundError: It is not there.
    """
    digest, size = hashlib.sha256(), 0
    with storage.files.open_input_stream(name) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()


def _part_name(table: str, cell: AnyId, layer: str | None, part: int) -> str:
    """Return where a part lies, below the lake's root."""
    of_layer = "" if layer is None else f"/layer={_folder_name(layer)}"
    return f"{table}/{cell.folder}{of_layer}/{cell.key}-{part:05d}.parquet"


_STEERING = re.compile(r"[/\\=?\0-\x1f]|%(?=[0-9A-Fa-f]{2})|^_(?=_HIVE_DEFAULT_PARTITION__$)")
"""What readers of `key=value` folders would take for something else: networks call layers as they like."""


def _folder_name(value: str) -> str:
    """Return a value as folders are called by it: percent-encoded where need be, which every reader undoes.

    Example:
        >>> [_folder_name(name) for name in ("layer4.1", "a/b", "50%", "50%41")]
        ['layer4.1', 'a%2Fb', '50%', '50%2541']
    """
    return _STEERING.sub(lambda found: f"%{ord(found[0]):02X}", value)


def _work(cell: AnyId) -> str:
    return f"{WORK}/{cell.key}"


def _encoding(schema: pa.Schema) -> dict[str, Any]:
    """Return how a table's columns are encoded: 43 % less for vectors than the writer's defaults.

    Measured on CIFAR-10 ResNet-20. Floats are split into byte streams, integers stored as differences.
    """
    names = [f.name for f in schema if f.type == pa.string()]
    by_type = {
        pa.float64(): "BYTE_STREAM_SPLIT",
        pa.float32(): "BYTE_STREAM_SPLIT",
        pa.int64(): "DELTA_BINARY_PACKED",
    }
    encodings = {}
    for f in schema:
        nested = pa.types.is_list(f.type)
        if encoding := by_type.get(f.type.value_type if nested else f.type):
            encodings[f"{f.name}.list.element" if nested else f.name] = encoding
    return {
        "compression": "zstd",
        "use_dictionary": names,
        "column_encoding": encodings,
        "write_page_checksum": True,
    }


def _names(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["dataset"], row["model"], row["variant"]


def _array(values: object, type_: pa.DataType, rows: int) -> pa.Array:
    if values is None:
        return pa.nulls(rows, type_)
    array = (
        values
        if isinstance(values, pa.Array | pa.ChunkedArray)
        else pa.array(values, type=type_, from_pandas=True)
    )
    return array if array.type == type_ else array.cast(type_)


def _version(mark: bytes, path: Path | str) -> int:
    try:
        return int(json.loads(mark)["schema_version"])
    except (ValueError, KeyError, TypeError) as e:
        raise U1Error(
            f"{MARK} with a schema_version", f"an unreadable {path}", "name another folder with --lake"
        ) from e


def list_column(matrix: np.ndarray) -> pa.Array:
    """Return a matrix (rows, D) as an Arrow list column without copying through Python objects.

    Raises:
        pa.ArrowInvalid: It has more numbers than the 2^31 - 1 that the offsets of a list can count.
    """
    rows, width = matrix.shape
    offsets = pa.array(np.arange(rows + 1) * width, pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.array(matrix.reshape(-1)))


def list_matrix(column: pa.ChunkedArray) -> np.ndarray:
    """Return a list column of equal lengths as a matrix (rows, D)."""
    flat = pa.concat_arrays([chunk.flatten() for chunk in column.chunks])
    return np.asarray(flat).reshape(len(column), -1)
