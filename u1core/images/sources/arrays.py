"""The built-in sets whose pictures lie in a few large files: CIFAR-10, Fashion-MNIST, the digits."""

from __future__ import annotations

import codecs
import gzip
import json
import pickle
import pickletools
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from u1core.catalog.entries import DatasetEntry
from u1core.images.sources.listing import Decoded, Labels, Pixels, SourceError, halve

Split = tuple[Pixels, Labels]

_MAX_MEMO = 1_000_000


def complete(train: Split, test: Split, entry: DatasetEntry) -> Decoded:
    """Lay memory (the official train set) before query (the official test set)."""
    labels = np.concatenate([train[1], test[1]]).astype(np.int64)
    is_query = np.arange(len(labels)) >= len(train[1])
    pixels = np.concatenate([train[0], test[0]])
    return Decoded(pixels, labels, is_query, np.arange(len(labels)), entry.class_names)


def read_digits(entry: DatasetEntry) -> Decoded:
    """Read scikit-learn's digits: 8 x 8, grey values 0..16 spread over 0..255, halved by class."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.rint(digits.images * 255.0 / 16.0).astype(np.uint8)[..., None]
    labels = digits.target.astype(np.int64)
    return Decoded(pixels, labels, halve(labels), np.arange(len(labels)), entry.class_names)


def read_layout(entry: DatasetEntry, places: Sequence[Path]) -> Decoded:
    """Read a data set from the first of the places that holds it in a known layout.

    Raises:
        SourceError: None of them does, or a file is damaged.
    """
    for folder in places:
        for marker, reader in LAYOUTS[entry.kind].items():
            found = [p for p in (folder / marker, folder / "package" / marker) if p.exists()]
            if found:
                return _read_layout(reader, found[0], entry)
    if not places:
        raise SourceError("no directory given and U1_DATA is not set")
    raise SourceError(f"no {entry.kind} files in {' or '.join(map(str, places))}")


def _read_layout(reader: Reader, marker: Path, entry: DatasetEntry) -> Decoded:
    try:
        return complete(*reader(marker), entry)
    except SourceError:
        raise
    except Exception as error:  # damaged files fail in as many ways as there are formats
        raise SourceError(f"damaged files beside {marker}: {type(error).__name__}: {error}") from error


def _read_cifar_pickles(marker: Path) -> tuple[Split, Split]:
    """Read cifar-10-batches-py: rows of 3072 bytes, channel by channel."""
    names = [f"data_batch_{i}" for i in range(1, 6)]
    batches = [_cifar_batch(marker / name) for name in names]
    train = np.concatenate([b[0] for b in batches]), np.concatenate([b[1] for b in batches])
    return train, _cifar_batch(marker / "test_batch")


def _cifar_batch(path: Path) -> Split:
    with path.open("rb") as stream:
        # A memo is as large as its highest number: a single damaged one would take all memory.
        if any(
            "PUT" in op.name and (number or 0) > _MAX_MEMO for op, number, _ in pickletools.genops(stream)
        ):
            raise SourceError(f"{path.name} is a pickle of more objects than a batch has")
        stream.seek(0)
        batch = _ArraysOnly(stream, encoding="latin1").load()
    pixels = np.asarray(batch["data"], dtype=np.uint8).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(pixels), np.asarray(batch["labels"], dtype=np.int64)


class _ArraysOnly(pickle.Unpickler):
    """Unpickle NumPy arrays and plain containers, and refuse anything that could run code."""

    def find_class(self, module: str, name: str) -> object:
        """Give the few constructors that an array's pickle names."""
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return np._core.multiarray._reconstruct  # type: ignore[attr-defined]
        allowed = {
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("_codecs", "encode"): codecs.encode,
        }
        if (module, name) not in allowed:
            raise SourceError(f"a pickle that names {module}.{name}, which is not an array")
        return allowed[module, name]


def _read_cifar_sheets(marker: Path) -> tuple[Split, Split]:
    """Read the PNG sheets: one image per row, 1024 pixels RGB; the labels' files are spelt so."""
    folder = marker.parent
    train = np.concatenate([_sheet(folder / f"data_batch_{i}.png") for i in range(1, 6)])
    return (train, _json_labels(folder / "train_lables.json")), (
        _sheet(marker),
        _json_labels(folder / "test_lables.json"),
    )


def _sheet(path: Path) -> Pixels:
    with Image.open(path) as sheet:
        rows = np.asarray(sheet.convert("RGB"), dtype=np.uint8)
    return rows.reshape(len(rows), 32, 32, 3)


def _json_labels(path: Path) -> Labels:
    return np.asarray(json.loads(path.read_text(encoding="utf-8")), dtype=np.int64)


def _read_idx(marker: Path) -> tuple[Split, Split]:
    """Read the four files of an MNIST-like data set, plain or gzipped."""
    folder, suffix = marker.parent, marker.suffix if marker.suffix == ".gz" else ""
    parts = []
    for split in ("train", "t10k"):
        pixels = _idx(folder / f"{split}-images-idx3-ubyte{suffix}")
        parts.append(
            (pixels[..., None], _idx(folder / f"{split}-labels-idx1-ubyte{suffix}").astype(np.int64))
        )
    return parts[0], parts[1]


def _idx(path: Path) -> Pixels:
    """Read one IDX file of bytes: 0, 0, type 8, number of dimensions, big-endian sizes, data."""
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    zero, kind, dimensions = struct.unpack(">HBB", raw[:4])
    if zero != 0 or kind != 8:
        raise SourceError(f"{path} is not an IDX file of bytes")
    shape = struct.unpack(f">{dimensions}I", raw[4 : 4 + 4 * dimensions])
    return np.frombuffer(raw, dtype=np.uint8, offset=4 + 4 * dimensions).reshape(shape)


Reader = Callable[[Path], tuple[Split, Split]]
_IDX_NAMES = ("", "raw/", "FashionMNIST/raw/")
LAYOUTS: dict[str, dict[str, Reader]] = {
    "cifar10": {"cifar-10-batches-py": _read_cifar_pickles, "test_batch.png": _read_cifar_sheets},
    "fashion_mnist": {
        f"{folder}t10k-images-idx3-ubyte{suffix}": _read_idx
        for folder in _IDX_NAMES
        for suffix in ("", ".gz")
    },
}
"""By kind: the file or folder that gives a layout away, and its reader."""
