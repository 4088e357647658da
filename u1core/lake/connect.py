"""DuckDB over the lake: raw tables in schema `lake`, the public views in `main`, read-only.

Nothing is stored: a connection lives in memory and reads Parquet, so it can be opened while a sweep
writes. It opens no file outside the lake, and its settings are locked.
"""

from __future__ import annotations

import functools
import os
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from u1core.common.errors import U1Error
from u1core.lake import index
from u1core.lake.guard import interruptible, one_line_errors
from u1core.lake.schema import CELL_TABLES, SCHEMAS
from u1core.lake.storage import WORK, open_storage, resolve_address
from u1core.lake.views import read_folder, rules_sha256, sql_dir, view_files, views_read_by

MEMORY_MIB = 3300
"""What DuckDB may hold, so that a query's process stays below 4 GiB; the rest is sorted on disk."""


EXPENSIVE_VIEWS = (
    # Small, but every other view asks them.
    "cells",
    "layers",
    "class_directions",
    "class_bias",
    "concentration_by_layer",
    "sombrero",
    "controls",
    "agreements",
    "loco_model_agreement",
    "composition",
    "theta_uncertainty",
    "memory_votes",
    "memory_confusion",
    "memory_report",
    "location_accuracy",
    "location_report",
    "theta_summary",
    "weak_angles",
    "cell_figures",
    "cell_tests",
    "claim_tests",
    "claims_by_cell",
    "claims",
)
"""Views worth computing once when several questions follow: see `freeze`."""


# Written out because registering an empty Arrow table would import half a second of pandas.
_SQL_TYPES = {
    pa.string(): "varchar",
    pa.int64(): "bigint",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.bool_(): "boolean",
    pa.timestamp("us", tz="UTC"): "timestamp with time zone",
}


def connect(
    root: Path | str | None, needed: Iterable[str] | None = None, *, frozen: Iterable[str] = ()
) -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB over a lake.

    Args:
        root: The lake's folder or URI; None gives empty raw tables (real ones, for tests to insert into).
        needed: The views that will be asked, from `views_named`; None for all, which takes most of a second
            where this process has not had them all before.
        frozen: Views that are computed at once, as by `freeze`.

    Returns:
        A connection with one relation per table in schema `lake` and the public views in `main`. A table
        without a file yet is typed and empty, and stays so until the next connect. Whatever is asked, it
        opens files of this lake only and keeps its settings.

    Raises:
        U1Error: A file of the lake is damaged.
    """
    connection = duckdb.connect(
        config={
            # Nothing is fetched from anywhere, whatever a query names.
            "autoinstall_known_extensions": False,
            "temp_directory": str(Path(tempfile.gettempdir()) / f"u1-duckdb-{os.getuid()}"),
        }
    )
    address = None if root is None else resolve_address(root)
    with one_line_errors(connection):
        _bound_memory(connection)
        _create_relations(connection, address, needed, frozen)
        _lock(connection, address)
    return connection


def _bound_memory(connection: duckdb.DuckDBPyConnection) -> None:
    """Lower the memory limit to MEMORY_MIB, unless DuckDB found a machine or a container with less."""
    query = "select value from duckdb_settings() where name = 'memory_limit'"
    number, unit = str(connection.execute(query).fetchall()[0][0]).split()
    mib_per_unit = {"GiB": 2**10, "TiB": 2**20}.get(unit, 0)
    if float(number) * mib_per_unit > MEMORY_MIB:
        connection.execute(f"set memory_limit = '{MEMORY_MIB}MiB'")


def _create_relations(
    connection: duckdb.DuckDBPyConnection,
    address: Path | str | None,
    needed: Iterable[str] | None,
    frozen: Iterable[str],
) -> None:
    # Timestamps are stored in UTC and shown so, on every machine.
    connection.execute("set timezone = 'UTC'")
    # The bar would be printed among the rows.
    connection.execute("set enable_progress_bar = false")
    # Its time grows with the square of a plan: of the 7 s that `claims` took over 20 rows it took 5.
    connection.execute("set disabled_optimizers = 'projection_pullup'")
    if needed is None:
        try:
            _copy_every_view(connection)
        except (OSError, duckdb.IOException):  # no room for a file in passing: a full disk still answers
            needed = view_files()
    connection.execute("create schema lake")
    found = _first_files(connection, address)
    for table, schema in SCHEMAS.items():
        connection.execute(_raw(address, table, schema, found.get(table)))
    views = view_files() if needed is None else views_read_by(needed)
    if needed is not None:
        _create_views(connection, views)
    freeze(connection, views.keys() & set(frozen))


def _create_views(connection: duckdb.DuckDBPyConnection, files: dict[str, str]) -> None:
    """Create every macro and the views given, each after what it reads.

    DuckDB binds a view to learn its columns, and with it all that it reads, down to the tables. An empty
    table stands for each until the last one is there: a third of the time.
    """
    for text in read_folder("macros").values():
        connection.execute(text)
    if "registrations" in files:  # the one that asks by which rules it is judged today
        connection.execute(f"create macro rules_sha256() as {quoted(rules_sha256())}")
    for name, text in files.items():
        connection.execute(f"create view {name} as\n{text}")
        connection.execute(f"alter view {name} rename to _{name}")
        connection.execute(f"create table {name} as from _{name} with no data")
    for name in files:
        connection.execute(f"drop table {name}")
        connection.execute(f"alter view _{name} rename to {name}")


def _copy_every_view(connection: duckdb.DuckDBPyConnection) -> None:
    """Create every macro and view without binding them anew: 20 ms, not most of a second."""
    with tempfile.TemporaryDirectory(prefix="u1-views-") as folder:
        path = Path(folder) / "views"
        path.write_bytes(_every_view(sql_dir()))
        connection.execute(f"attach {quoted(str(path))} as bound (read_only)")
        connection.execute("copy from database bound to memory (schema)")
        connection.execute("detach bound")


@functools.cache
def _every_view(_: Path) -> bytes:
    """Return a database of all macros and views of a folder, bound over empty raw tables: once a process."""
    with tempfile.TemporaryDirectory(prefix="u1-views-") as folder:
        path = Path(folder) / "views"
        with duckdb.connect(config={"autoinstall_known_extensions": False}) as connection:
            connection.execute("create schema lake")
            for table, schema in SCHEMAS.items():
                connection.execute(_raw(None, table, schema, None))
            _create_views(connection, view_files())
            connection.execute("drop schema lake cascade")
            connection.execute(f"attach {quoted(str(path))} as bound")
            connection.execute("copy from database memory to bound (schema)")
            connection.execute("detach bound")
        return path.read_bytes()


def _lock(connection: duckdb.DuckDBPyConnection, address: Path | str | None) -> None:
    """Shut everything outside the lake, variables of this process included, and lock the settings."""
    folders: list[str] = []
    if isinstance(address, Path):
        # DuckDB looks at the escaped pattern and at each file it finds; a table may be a link to a folder.
        names = (str(address), *(str(address / name) for name in (WORK, *SCHEMAS)))
        folders = sorted({*names, *map(_glob_escape, names)})
    elif address is not None:
        from u1core.lake import remote

        folders = [f"{remote.PROTOCOL}://"]
    connection.execute(f"""
        set allowed_directories = [{", ".join(map(quoted, folders))}];
        set python_enable_replacements = false;
        set enable_external_access = false;
        set lock_configuration = true;
    """)


def _first_files(connection: duckdb.DuckDBPyConnection, address: Path | str | None) -> dict[str, str]:
    """Return one file of each table that has some, below the lake's root."""
    if address is None:
        return {}
    if isinstance(address, Path):
        firsts = {table: next((address / table).rglob("*.parquet"), None) for table in SCHEMAS}
        return {table: str(path.relative_to(address)) for table, path in firsts.items() if path}
    # Only lakes that are not on a disk pay for this import.
    from u1core.lake import remote

    files = remote.LakeFiles(open_storage(address))
    connection.register_filesystem(files)
    found = {table: files.glob(f"{remote.PROTOCOL}://{table}/**/*.parquet") for table in SCHEMAS}
    return {table: names[0] for table, names in found.items() if names}


def _full_name(address: Path | str, name: str) -> str:
    """Return how DuckDB names a file of the lake."""
    if isinstance(address, Path):
        return str(address / name)
    from u1core.lake import remote

    return f"{remote.PROTOCOL}://{name}"


def _raw(address: Path | str | None, table: str, schema: pa.Schema, first: str | None) -> str:
    """Return SQL that creates lake.<table>: a view over its files, or an empty table where it has none.

    Files of other cells than a query asks for by dataset, model or variant are not even opened: their folders
    say so. What the folders are called and that they hold text is declared, not inferred.
    """
    if address is None or first is None:
        columns = ", ".join(f"{field.name} {sql_type(field.type)}" for field in schema)
        return f"create table lake.{table} ({columns})"
    if table == "cells" and (outside := index.outside_index(open_storage(address))):
        return _indexed_cells(address, *outside)
    folders = re.findall(r"(\w+)=[^/]*/", first) if table in CELL_TABLES else []
    return f"create view lake.{table} as {_select(table, address, [table], '/**/*.parquet', folders)}"


def _select(
    table: str, address: Path | str, names: Sequence[str], below: str = "", folders: Sequence[str] = ()
) -> str:
    """Return SQL that reads Parquet of the lake: the one place that does.

    Args:
        table: Whose columns; every file has them all, its keys too.
        address: Of the lake.
        names: Files or folders, below the lake's root.
        below: A pattern that follows each of them.
        folders: Keys that the names of folders say, `key=value`, so that files of others stay shut.
    """
    # DuckDB takes the names above the root for keys as well, and those first: a lake below `model=vgg` is
    # read by its columns alone.
    keyed = folders if "=" not in _full_name(address, "") else ()
    types = ", ".join(f"{name}: varchar" for name in keyed)
    partitioning = f"hive_types = {{{types}}}" if keyed else "hive_partitioning = false"
    # A view takes no bound parameter, so names of files are quoted into the SQL.
    files = ", ".join(quoted(_glob_escape(_full_name(address, name)) + below) for name in names)
    columns = ", ".join(f'"{name}"' for name in SCHEMAS[table].names)
    return f"select {columns} from read_parquet([{files}], {partitioning})"


def _indexed_cells(address: Path | str, new: list[str], void: list[str]) -> str:
    """Return SQL that creates lake.cells over the index and the files beside it: the cells of this moment."""
    others = ", ".join(map(quoted, [*new, *void])) or "''"
    query = f"{_select('cells', address, [index.INDEX])} where file not in ({others})"
    if new:
        query += f" union all {_select('cells', address, new)}"
    return f"create view lake.cells as {query}"


def sql_type(type_: pa.DataType) -> str:
    """Return the DuckDB type that Parquet of this Arrow type is read as."""
    if pa.types.is_list(type_):
        return f"{sql_type(type_.value_type)}[]"
    return _SQL_TYPES[type_]


def quoted(text: str) -> str:
    """Return a text as SQL, for statements that take no bound parameter."""
    return "'" + text.replace("'", "''") + "'"


def _glob_escape(path: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", path)


def freeze(connection: duckdb.DuckDBPyConnection, names: Iterable[str] = EXPENSIVE_VIEWS) -> None:
    """Replace views by tables of the same name inside the in-memory connection, in reading order.

    Later queries on this connection reuse them; they no longer see what a sweep writes meanwhile.

    Raises:
        U1Error: A name is not a view's.
    """
    files = view_files()
    wanted = set(names)
    if unknown := wanted - set(files):
        raise U1Error("names of views", ", ".join(sorted(unknown)), f"choose from {', '.join(sorted(files))}")
    for name in (name for name in files if name in wanted):
        _freeze(connection, name)


def _freeze(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    create = f"create table _{name} as select * from {name}"
    interruptible(connection, functools.partial(connection.execute, create))
    connection.execute(f"drop view {name}")
    connection.execute(f"alter table _{name} rename to {name}")
