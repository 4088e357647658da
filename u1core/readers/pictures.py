"""One picture decoded safely, and a whole listing decoded in order.

Shapes: n pictures of S x S pixels, RGB.
"""

from __future__ import annotations

import io
import stat
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from u1core.paths import shown
from u1core.readers.listing import (
    Content,
    Decoded,
    ImageFailure,
    Listing,
    Picture,
    PictureError,
    Pixels,
    SourceError,
    halve,
)

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""The decoders that may run, whatever a file is called: others start programs (EPS) or fetch more files."""

Report = Callable[[int, int], None]
"""Called with pictures done and pictures in all."""

MAX_PIXELS = 100_000_000
"""A picture of more is taken for a decompression bomb."""

DEFAULT_SIZE = 256
"""The usual ImageNet evaluation resizes the shorter side to 256 pixels and crops 224."""

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a picture upright, by its EXIF orientation (EXIF 2.32, 4.6.4 A)."""


def decode_picture(content: Content, size: int | None) -> Pixels:
    """Decode one picture: first frame, upright, RGB without alpha, 8 bits, centre cropped.

    Args:
        content: What the picture is decoded from.
        size: Pixels of the shorter side and of the crop; None keeps the picture as it is.

    Returns:
        Shape (size, size, 3), or (H, W, 3).

    Raises:
        PictureError: It is not a picture, too large, or its range of grey values is unknown.
        Exception: Whatever Pillow raises on damaged files.
    """
    with _open(content) as opened:
        if opened.width * opened.height > MAX_PIXELS:
            raise _bomb()
        opened.load()
        turn = _UPRIGHT.get(_orientation(opened))
        picture = _eight_bits(opened).convert("RGB")
    if turn is not None:
        picture = picture.transpose(turn)
    if size is not None:
        picture = ImageOps.fit(picture, (size, size), Image.Resampling.BICUBIC)
    return np.asarray(picture, dtype=np.uint8)


def _open(content: Content) -> Image.Image:
    """Read the header, and no pixel."""
    if isinstance(content, PictureError):
        raise content
    if isinstance(content, Image.Image):
        return content
    if isinstance(content, np.ndarray):
        return Image.fromarray(content[..., 0] if content.shape[2:] == (1,) else content)
    if isinstance(content, Path):
        state = content.stat()
        if not stat.S_ISREG(state.st_mode):  # opening a pipe would wait for ever
            raise PictureError("not a regular file")
    if (state.st_size if isinstance(content, Path) else len(content)) == 0:
        raise PictureError("an empty file")
    try:
        return Image.open(content if isinstance(content, Path) else io.BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise PictureError(f"not a picture in one of {', '.join(FORMATS)}, or damaged") from error
    except Image.DecompressionBombError as error:
        raise _bomb() from error


def _bomb() -> PictureError:
    return PictureError(f"more than {MAX_PIXELS // 10**6} million pixels: a decompression bomb")


def _orientation(opened: Image.Image) -> int:
    """Return the EXIF orientation; damaged EXIF says nothing, and every viewer shows the pixels as stored."""
    try:
        return int(opened.getexif().get(_ORIENTATION, 1))
    except Exception:  # Pillow raises SyntaxError, struct.error, ValueError and others
        return 1


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Bring 16-bit greys to 8 bits: PIL's own conversion would clip them to white."""
    if picture.mode == "F":
        raise PictureError("floating-point pixels, whose range is unknown")
    if not picture.mode.startswith("I"):
        return picture
    if picture.mode == "I" and picture.format not in ("PNG", "PPM"):  # there mode I holds 16 bits
        raise PictureError("32-bit pixels, whose range is unknown")
    return Image.fromarray((np.asarray(picture, dtype=np.int64) // 257).astype(np.uint8))


def decode_listing(
    listing: Listing, size: int | None, work_dir: Path, report: Report = lambda done, total: None
) -> Decoded:
    """Decode a listing in order; a picture that can't be decoded becomes a failure and stops nothing.

    Args:
        listing: The pictures; asked for a second time where the first pass finds that their sizes differ.
        size: Pixels of the shorter side and of the crop; None keeps pictures that all have one square size
            of at most 256 pixels as they are, and makes all others 256.
        work_dir: Holds the pixels in a file, which is mapped, so that memory stays small.
        report: Called with pictures done and pictures in all.

    Raises:
        SourceError: The reader gave fewer or more pictures than labels.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of EXIF and of size: pictures are decoded or refused
        if size is None:
            try:
                return _decode_all(listing, None, work_dir / "decoded", report)
            except _MixedSizesError:
                size = DEFAULT_SIZE
        return _decode_all(listing, size, work_dir / "decoded", report)


def _decode_all(listing: Listing, size: int | None, path: Path, report: Report) -> Decoded:
    labels = np.asarray(listing.labels, dtype=np.int64)
    is_query = halve(labels) if listing.is_query is None else np.asarray(listing.is_query, dtype=np.bool_)
    kept: list[int] = []
    failures: list[ImageFailure] = []
    with path.open("wb") as file:
        rows = _Rows(file)
        for image_id, picture in _numbered(listing):
            report(image_id, len(labels))
            try:
                pixels = decode_picture(_fetched(picture.content), size)
            except Exception as error:  # of many kinds; each is this picture's failure alone
                label, query = int(labels[image_id]), bool(is_query[image_id])
                failures.append(ImageFailure(image_id, label, query, "decode", _reason(picture, error)))
                continue
            if size is None and not _is_small_square(pixels):
                raise _MixedSizesError
            rows.append(pixels)
            kept.append(image_id)
        report(len(labels), len(labels))
        written = rows.read()
    ids = np.array(kept, dtype=np.int64)
    return Decoded(
        written, labels[ids], is_query[ids], ids, listing.class_names, tuple(failures), listing.ignored
    )


def _numbered(listing: Listing) -> Iterator[tuple[int, Picture]]:
    """Number the pictures, and see to it that there is one for every label."""
    n, given = len(listing.labels), 0
    pictures = iter(listing.pictures())
    while True:
        try:
            picture = next(pictures, None)
        except Exception as error:
            raise SourceError(f"the reader, at picture {given}: {type(error).__name__}: {error}") from error
        if picture is None or given == n:
            break
        yield given, picture
        given += 1
    if given < n or picture is not None:
        raise SourceError(f"the reader gave {given if given < n else 'more'} pictures for {n} labels")


def _fetched(content: Content | Callable[[], Content]) -> Content:
    return content() if callable(content) else content


def _reason(picture: Picture, error: Exception) -> str:
    """Say in one line which picture it was and why."""
    why = str(error)
    if not isinstance(error, PictureError):
        why = f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}"
    return f"{shown(picture.name)}: {' '.join(why.split())}"


class _MixedSizesError(Exception):
    """The pictures don't share one small square size."""


def _is_small_square(pixels: Pixels) -> bool:
    height, width = pixels.shape[:2]
    return bool(height == width <= DEFAULT_SIZE)


class _Rows:
    """Pixels in a file, row after row, all of the first one's shape."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._rows = file, 0
        self._shape: tuple[int, ...] = (1, 1, 3)

    def append(self, pixels: Pixels) -> None:
        """Write the next row.

        Raises:
            _MixedSizesError: It has another shape than the first.
        """
        if self._rows == 0:
            self._shape = pixels.shape
        if pixels.shape != self._shape:
            raise _MixedSizesError
        self._file.write(pixels.tobytes())
        self._rows += 1

    def read(self) -> Pixels:
        """Map what was written, shape (rows, H, W, 3)."""
        self._file.flush()
        if self._rows == 0:
            return np.empty((0, *self._shape), dtype=np.uint8)
        return np.memmap(self._file.name, np.uint8, "r", shape=(self._rows, *self._shape))
