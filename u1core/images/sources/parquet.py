"""Pictures in Parquet files, laid out as image data sets on the Hugging Face hub are.

A struct of `bytes` and `path` per picture, a label per row, and the class names in the schema's metadata
under `huggingface`. Pictures are streamed a few rows at a time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from u1core.catalog.entries import DatasetEntry
from u1core.catalog.fields import nearest
from u1core.common.paths import matching, stamp
from u1core.images.sources.labels import (
    Label,
    as_label,
    distinct_names,
    number_labels,
    settled,
)
from u1core.images.sources.listing import (
    Content,
    Ignored,
    Listing,
    Picture,
    PictureError,
    SourceError,
    beside,
)
from u1core.images.sources.splits import is_query_word, pick_splits, split_in

_ROWS_AT_ONCE = 16
_UNREADABLE = (OSError, pa.ArrowException, UnicodeDecodeError)
"""What a damaged file raises; the last where the name of a column or a value's text is no UTF-8."""


@dataclass(frozen=True)
class _File:
    """One Parquet file: where its pictures are, and its labels."""

    path: Path
    split: str  # '' where neither name nor folder says
    image: str
    class_names: tuple[str, ...]
    labels: list[Label]


def read(entry: DatasetEntry, places: Sequence[Path]) -> Listing:
    """List the rows of the Parquet files that a glob matches, or that lie below a folder.

    The split is read off a file's name (train-00000-of-00002.parquet) or its folder's (train/0000.parquet);
    splits without any label are left out. Options name the columns where there is a choice: image, label.

    Raises:
        SourceError: There is no file, one is damaged, a column is missing, or there are no labels.
    """
    files = [_inspect(path, entry.options, places) for path in _find(places)]
    if not files:
        raise SourceError(f"no {entry.kind} files in {' or '.join(map(str, places)) or 'options.path'}")
    files, names = _settled(files)
    labelled = {file.split for file in files if any(label is not None for label in file.labels)}
    if not labelled:
        raise SourceError(f"rows without a label in every one of {len(files)} files")
    splits = pick_splits(labelled)
    used = [file for file in files if file.split in (splits or labelled)]
    class_names, labels = number_labels([label for file in used for label in file.labels], names)
    is_query = np.concatenate([np.full(len(file.labels), is_query_word(file.split)) for file in used])

    def pictures() -> Iterator[Picture]:
        for file in used:
            yield from _pictures(file)

    ignored = (
        f"{file.path.name}, row {row}"
        for file in files
        if file.split not in (splits or labelled)
        for row in range(len(file.labels))
    )
    of_split = is_query if splits else None
    return Listing(
        class_names, labels, pictures, of_split, Ignored.of(ignored, "rows of files not used")
    ).labelled()


def _settled(files: Sequence[_File]) -> tuple[list[_File], tuple[str, ...]]:
    """Find the labels that stand for none, over all files, and the names of the classes."""
    named = {file.class_names for file in files}
    if len(named) > 1:
        raise SourceError("files that name different classes")
    (names,) = named
    labels = iter(settled([label for file in files for label in file.labels], names))
    return [replace(file, labels=[next(labels) for _ in file.labels]) for file in files], names


def _find(places: Sequence[Path]) -> list[Path]:
    for place in places:
        found = sorted(place.rglob("*.parquet")) if place.is_dir() else matching(place)
        if found:
            return [path for path in found if path.is_file()]
    return []


def _inspect(path: Path, options: Mapping[str, Any], places: Sequence[Path]) -> _File:
    """Read schema and labels of one file, and none of its pictures."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            schema = file.schema_arrow
            features = _features(schema)
            label = _label_column(schema, features, options.get("label"))
            image = _image_column(schema, options.get("image"), label)
            labels = _read_labels(file, label)
    except (*_UNREADABLE, SourceError) as error:
        raise SourceError(f"{path}: {error}") from error
    names = features.get(label, {}).get("names")
    return _File(path, _split_name(path, places), image, distinct_names(names or ()), labels)


def _read_labels(file: pq.ParquetFile, column: str) -> list[Label]:
    try:
        return [as_label(value) for value in file.read(columns=[column]).column(column).to_pylist()]
    except SourceError as error:
        raise SourceError(f"column '{column}': {error}; options.label names another") from error


def _features(schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """Return what the `datasets` library wrote about the columns; nothing where it did not."""
    try:
        found = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {name: feature for name, feature in found.items() if isinstance(feature, dict)}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def _image_column(schema: pa.Schema, named: str | None, label: str) -> str:
    structs = [field for field in schema if pa.types.is_struct(field.type)]
    candidates = [s.name for s in structs if {"bytes", "path"} <= {field.name for field in s.type}]
    binary = (pa.binary(), pa.large_binary(), pa.binary_view())
    candidates = candidates or [f.name for f in schema if f.type in binary and f.name != label]
    return _choose("image", named, candidates, schema.names)


def _label_column(schema: pa.Schema, features: Mapping[str, dict[str, Any]], named: str | None) -> str:
    classes = [name for name, feature in features.items() if feature.get("_type") == "ClassLabel"]
    candidates = ["label"] if "label" in schema.names else [n for n in classes if n in schema.names]
    return _choose("label", named, candidates, schema.names)


def _choose(option: str, named: str | None, candidates: Sequence[str], columns: Sequence[str]) -> str:
    if named is not None and named not in columns:
        raise SourceError(f"no column '{named}'; nearest: {nearest(named, columns)}")
    if named is None and len(candidates) != 1:
        choice = ", ".join(candidates or columns)
        raise SourceError(f"which column is the {option}? options.{option} names it: {choice}")
    chosen = named or candidates[0]
    if (times := columns.count(chosen)) > 1:
        raise SourceError(f"{times} columns '{chosen}': which is the {option}?")
    return chosen


def _split_name(path: Path, places: Sequence[Path]) -> str:
    """Read the split off a file's name, else off the nearest folder's that says one, below the place."""
    below = [folder for folder in path.parents if any(place in folder.parents for place in places)]
    names = (path.stem, path.parent.name, *(folder.name for folder in below))
    return next(filter(None, (split_in(name.removeprefix("partial-")) for name in names)), "")


def _pictures(file: _File) -> Iterator[Picture]:
    """Stream the pictures of a file; those of a damaged row group are failures."""
    row = 0
    with pq.ParquetFile(file.path, page_checksum_verification=True) as parquet:
        for group in range(parquet.num_row_groups):
            end = row + parquet.metadata.row_group(group).num_rows
            try:
                for batch in parquet.iter_batches(_ROWS_AT_ONCE, row_groups=[group], columns=[file.image]):
                    for cell in batch.column(file.image):
                        yield _picture(file.path, row, cell)
                        row += 1
            except _UNREADABLE as error:
                for lost in range(row, end):
                    yield Picture(
                        f"{file.path.name}, row {lost}", PictureError(f"row group {group}: {error}")
                    )
            row = end


def _picture(table: Path, row: int, value: pa.Scalar) -> Picture:
    try:
        cell: bytes | dict[str, Any] | None = value.as_py()
    except UnicodeDecodeError as error:
        return Picture(f"{table.name}, row {row}", PictureError(f"a path that is no UTF-8: {error}"))
    raw, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
    content: Content = PictureError("neither bytes nor a path")
    if raw is not None:
        content = raw
    elif path:
        content = beside(table.parent, path)
    return Picture(f"{table.name}, row {row}" + (f", {path}" if path else ""), content)


def state(entry: DatasetEntry, places: Sequence[Path]) -> str:
    """Sum up names, sizes and times of the files and of pictures beside them: changes when they do."""
    digest = hashlib.sha256()
    for path in _find(places):
        digest.update(f"{path}".encode() + stamp(path.stat()))
        for picture in _beside(path):
            digest.update(stamp(picture.stat()))
    return digest.hexdigest()


def _beside(table: Path) -> Iterator[Path]:
    """Give the pictures that rows of a file name and do not hold."""
    try:
        with pq.ParquetFile(table) as file:
            for image in (name for name in file.schema_arrow.names if _lacks_bytes(file.metadata, name)):
                for cell in file.read(columns=[f"{image}.path"]).column(image).to_pylist():
                    content = beside(table.parent, cell["path"] or "") if cell else None
                    if isinstance(content, Path) and content.is_file():
                        yield content
    except _UNREADABLE:  # reading it will say so
        return


def _lacks_bytes(metadata: pq.FileMetaData, image: str) -> bool:
    """Tell whether a column is a struct of bytes and path, and bytes are missing in a row."""
    paths = [metadata.schema.column(leaf).path for leaf in range(metadata.num_columns)]
    if not {f"{image}.bytes", f"{image}.path"} <= set(paths):
        return False
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    counts = (group.column(paths.index(f"{image}.bytes")).statistics for group in groups)
    return any(not count or not count.has_null_count or count.null_count for count in counts)
