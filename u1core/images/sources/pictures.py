"""One picture decoded safely, and a whole listing decoded in order.

Shapes: n pictures of S x S pixels, RGB.
"""

from __future__ import annotations

import io
import os
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from u1core.common.ahead import map_ahead
from u1core.common.progress import Progress, untold
from u1core.common.text import printable
from u1core.images.sources.listing import (
    Content,
    Decoded,
    Flags,
    ImageFailure,
    Labels,
    Listing,
    Picture,
    PictureError,
    Pixels,
    SourceError,
    halve,
)

R = TypeVar("R")

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""The decoders that may run, whatever a file is called: others start programs (EPS) or fetch more files."""

MAX_PIXELS = 100_000_000
"""A picture of more is taken for a decompression bomb."""

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
    with open_picture(content) as opened:
        opened.load()
        turn = _UPRIGHT.get(_orientation(opened))
        picture = _eight_bits(opened).convert("RGB")
    if turn is not None:
        picture = picture.transpose(turn)
    if size is not None:
        picture = ImageOps.fit(picture, (size, size), Image.Resampling.BICUBIC)
    return np.asarray(picture, dtype=np.uint8)


def open_picture(content: Content) -> Image.Image:
    """Read the header, and no pixel.

    Raises:
        PictureError: It is no picture, or a bomb.
    """
    if isinstance(content, PictureError):
        raise content
    if isinstance(content, Image.Image):
        return content
    if isinstance(content, np.ndarray):
        return Image.fromarray(content[..., 0] if content.shape[2:] == (1,) else content)
    if isinstance(content, Path):
        check_regular(content)
    if (content.stat().st_size if isinstance(content, Path) else len(content)) == 0:
        raise PictureError("an empty file")
    try:
        opened = Image.open(content if isinstance(content, Path) else io.BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise PictureError(f"not a picture in one of {', '.join(FORMATS)}, or damaged") from error
    except Image.DecompressionBombError as error:
        raise _bomb() from error
    if opened.width * opened.height > MAX_PIXELS:
        raise _bomb()
    return opened


def check_regular(path: Path) -> None:
    """Raise PictureError unless the path is a regular file: opening a pipe would wait for ever."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise PictureError("not a regular file")


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Pillow on EXIF and on size while the block lasts: pictures are decoded or refused."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
        yield


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
    listing: Listing, size: int | None, work_dir: Path, progress: Progress = untold
) -> Decoded:
    """Decode a listing in order; a picture that can't be decoded becomes a failure and stops nothing.

    Args:
        listing: The pictures.
        size: Pixels of the shorter side and of the crop; None keeps pictures that are all of one size.
        work_dir: Holds the pixels in a file, which is mapped, so that memory stays small.
        progress: Called with pictures done and pictures in all.

    Raises:
        SourceError: The reader gave fewer or more pictures than labels, or pictures of several sizes.
    """

    def decode(item: tuple[int, Picture]) -> tuple[int, Pixels | str]:
        image_id, picture = item
        try:
            return image_id, decode_picture(picture.content, size)  # type: ignore[arg-type]
        except Exception as error:  # of many kinds; each is this picture's failure alone
            return image_id, reason(picture, error)

    split = Split.of(listing)
    with (work_dir / "decoded").open("wb") as file:
        rows = _Rows(file)
        for image_id, pixels in for_each(listing, decode, progress):
            if isinstance(pixels, str):
                split.fail(image_id, pixels)
            else:
                rows.append(pixels)
                split.keep(image_id)
        return split.decoded(rows.read())


def for_each(
    listing: Listing, function: Callable[[tuple[int, Picture]], R], progress: Progress
) -> Iterator[R]:
    """Apply a function to every picture with its number, several at a time; yield what it gives, in order."""
    total = len(listing.labels)
    pictures = ((image_id, Picture(p.name, fetched(p.content))) for image_id, p in numbered(listing))
    with quiet(), closing(map_ahead(function, pictures, os.cpu_count() or 1)) as results:
        for done, result in enumerate(results):
            progress(done, total)
            yield result
    progress(total, total)


@dataclass
class Split:
    """Which pictures of a listing can be used, as they come in."""

    listing: Listing
    labels: Labels
    is_query: Flags
    kept: list[int] = field(default_factory=list)
    failures: list[ImageFailure] = field(default_factory=list)

    @classmethod
    def of(cls, listing: Listing) -> Split:
        """Begin with none."""
        labels = np.asarray(listing.labels, dtype=np.int64)
        given = listing.is_query
        return cls(listing, labels, halve(labels) if given is None else np.asarray(given, dtype=np.bool_))

    def keep(self, image_id: int) -> None:
        """Use a picture."""
        self.kept.append(image_id)

    def fail(self, image_id: int, why: str) -> None:
        """Leave a picture out."""
        label, is_query = int(self.labels[image_id]), bool(self.is_query[image_id])
        self.failures.append(ImageFailure(image_id, label, is_query, "decode", why))

    def decoded(self, pixels: Pixels | None, digests: npt.NDArray[np.uint8] | None = None) -> Decoded:
        """Return the data set with the pixels, or the digests, of the pictures kept."""
        ids = np.array(self.kept, dtype=np.int64)
        labels, is_query = self.labels[ids], self.is_query[ids]
        of, failures = self.listing, tuple(self.failures)
        return Decoded(
            pixels, labels, is_query, ids, of.class_names, failures, of.ignored, of.unlabelled, digests
        )


def numbered(listing: Listing) -> Iterator[tuple[int, Picture]]:
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


def fetched(content: Content | Callable[[], Content]) -> Content:
    """Return a content, asked for now where that was put off."""
    return content() if callable(content) else content


def reason(picture: Picture, error: Exception) -> str:
    """Say in one line which picture it was and why."""
    why = str(error)
    if not isinstance(error, PictureError):
        why = f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}"
    return f"{printable(picture.name)}: {' '.join(why.split())}"


class _Rows:
    """Pixels in a file, row after row, all of the first one's shape."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._rows = file, 0
        self._shape: tuple[int, ...] = (1, 1, 3)

    def append(self, pixels: Pixels) -> None:
        """Write the next row.

        Raises:
            SourceError: It has another shape than the first.
        """
        if self._rows == 0:
            self._shape = pixels.shape
        if pixels.shape != self._shape:
            raise SourceError(f"pictures of {self._shape} and of {pixels.shape} where one size was expected")
        self._file.write(pixels.tobytes())
        self._rows += 1

    def read(self) -> Pixels:
        """Map what was written, shape (rows, H, W, 3)."""
        self._file.flush()
        if self._rows == 0:
            return np.empty((0, *self._shape), dtype=np.uint8)
        return np.memmap(self._file.name, np.uint8, "r", shape=(self._rows, *self._shape))
