"""Pictures in Parquet files, laid out as image data sets on the Hugging Face hub are.

A struct of `bytes` and `path` per picture, a label per row, and the class names in the schema's metadata
under `huggingface`. Pictures are streamed a few rows at a time.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from u1core.catalog.entries import DatasetEntry
from u1core.catalog.fields import nearest
from u1core.common.paths import matching
from u1core.images.sources.listing import (
    MEMORY_NAMES,
    QUERY_NAMES,
    Content,
    Ignored,
    Labels,
    Listing,
    Picture,
    PictureError,
    SourceError,
    beside,
    distinct_names,
    number_classes,
    pick_splits,
)

_ROWS_AT_ONCE = 16


@dataclass(frozen=True)
class _File:
    """One Parquet file: where its pictures are, and its labels."""

    path: Path
    split: str  # '' where neither name nor folder says
    image: str
    class_names: tuple[str, ...] | None
    labels: list[Any]

    @property
    def is_labelled(self) -> bool:
        """Whether no label is missing; the hub writes -1 where a test split hides its labels."""
        return all(label is not None and label != -1 for label in self.labels)


def read(entry: DatasetEntry, places: Sequence[Path]) -> Listing:
    """List the rows of the Parquet files that a glob matches, or that lie below a folder.

    The split is read off a file's name (train-00000-of-00002.parquet) or its folder's (train/0000.parquet);
    splits without labels are left out. Options name the columns where there is a choice: image, label.

    Raises:
        SourceError: There is no file, one is damaged, a column is missing, or there are no labels.
    """
    files = [_inspect(path, entry.options) for path in _find(places)]
    if not files:
        raise SourceError(f"no {entry.kind} files in {' or '.join(map(str, places)) or 'options.path'}")
    labelled = [file for file in files if file.is_labelled]
    splits = pick_splits({file.split for file in labelled})
    used = [file for file in labelled if splits is None or file.split in splits]
    if not used:
        raise SourceError(f"rows without a label in every one of {len(files)} files")
    class_names, labels = _number(used)
    is_query = np.concatenate([np.full(len(file.labels), file.split in QUERY_NAMES) for file in used])

    def pictures() -> Iterator[Picture]:
        for file in used:
            yield from _pictures(file)

    ignored = (
        f"{file.path.name}, row {row}"
        for file in files
        if file not in used
        for row in range(len(file.labels))
    )
    return Listing(
        class_names,
        labels,
        pictures,
        is_query if splits else None,
        Ignored.of(ignored, "rows of files not used"),
    )


def _find(places: Sequence[Path]) -> list[Path]:
    for place in places:
        found = sorted(place.rglob("*.parquet")) if place.is_dir() else matching(place)
        if found:
            return [path for path in found if path.is_file()]
    return []


def _inspect(path: Path, options: Mapping[str, Any]) -> _File:
    """Read schema and labels of one file, and none of its pictures."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            schema = file.schema_arrow
            features = _features(schema)
            image = _image_column(schema, options.get("image"))
            label = _label_column(schema, features, options.get("label"))
            labels = file.read(columns=[label]).column(0).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"{path}: {error}") from error
    except SourceError as error:
        raise SourceError(f"{path}: {error}") from error
    names = features.get(label, {}).get("names")
    return _File(path, _split_name(path), image, distinct_names(names) if names else None, labels)


def _features(schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """Return what the `datasets` library wrote about the columns; nothing where it did not."""
    try:
        found = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {name: feature for name, feature in found.items() if isinstance(feature, dict)}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def _image_column(schema: pa.Schema, named: str | None) -> str:
    structs = [field for field in schema if pa.types.is_struct(field.type)]
    candidates = [s.name for s in structs if {"bytes", "path"} <= {field.name for field in s.type}]
    binary = (pa.binary(), pa.large_binary())
    candidates = candidates or [field.name for field in schema if field.type in binary]
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
    return named or candidates[0]


def _split_name(path: Path) -> str:
    """Read the split off the first word of a file's name, else off its folder's."""
    for text in (path.name, path.parent.name.removeprefix("partial-")):
        word = re.split(r"[-_.]", text)[0].lower()
        if word in MEMORY_NAMES or word in QUERY_NAMES:
            return word
    return ""


def _number(files: Sequence[_File]) -> tuple[tuple[str, ...], Labels]:
    """Number the classes: as the metadata does, else by sorted value."""
    values = [label for file in files for label in file.labels]
    named = {file.class_names for file in files}
    if len(named) > 1:
        raise SourceError("files that name different classes")
    (class_names,) = named
    if class_names:
        return class_names, np.array(values, dtype=np.int64)
    if all(isinstance(value, int) for value in values):
        distinct, labels = np.unique(np.array(values, dtype=np.int64), return_inverse=True)
        return tuple(map(str, distinct)), labels.astype(np.int64)
    return number_classes(map(str, values))


def _pictures(file: _File) -> Iterator[Picture]:
    """Stream the pictures of a file; those of a damaged row group are failures."""
    row = 0
    with pq.ParquetFile(file.path, page_checksum_verification=True) as parquet:
        for group in range(parquet.num_row_groups):
            end = row + parquet.metadata.row_group(group).num_rows
            try:
                for batch in parquet.iter_batches(_ROWS_AT_ONCE, row_groups=[group], columns=[file.image]):
                    for cell in batch.column(0):
                        yield _picture(file.path, row, cell.as_py())
                        row += 1
            except (OSError, pa.ArrowException) as error:
                for lost in range(row, end):
                    yield Picture(
                        f"{file.path.name}, row {lost}", PictureError(f"row group {group}: {error}")
                    )
            row = end


def _picture(table: Path, row: int, cell: bytes | dict[str, Any] | None) -> Picture:
    raw, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
    content: Content = PictureError("neither bytes nor a path")
    if raw is not None:
        content = raw
    elif path:
        content = beside(table.parent, path)
    return Picture(f"{table.name}, row {row}" + (f", {path}" if path else ""), content)


def state(entry: DatasetEntry, places: Sequence[Path]) -> str:
    """Sum up names, sizes and times of the Parquet files: changes when they do."""
    digest = hashlib.sha256()
    for path in _find(places):
        state = path.stat()
        digest.update(f"{path}\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()
