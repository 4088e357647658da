"""One picture decoded safely, and a whole listing decoded in order.

Shapes: n pictures of S x S pixels, RGB.
"""

from __future__ import annotations

import importlib
import importlib.util
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
from u1core.images.sources.suffixes import SUFFIXES

R = TypeVar("R")

HEIF_PACKAGE = "pillow_heif"


def _formats() -> tuple[str, ...]:
    """Name the decoders that may run; Pillow has none of its own for HEIF."""
    if importlib.util.find_spec(HEIF_PACKAGE) is None:
        return tuple(name for name in SUFFIXES if name != "HEIF")
    importlib.import_module(HEIF_PACKAGE).register_heif_opener()
    return tuple(SUFFIXES)


FORMATS = _formats()
"""The decoders that may run, whatever a file is called: others start programs (EPS) or fetch more files."""

MAX_PIXELS = 100_000_000
"""A picture of more is taken for a decompression bomb."""

_ORIENTATION = 0x0112
_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339  # tags of TIFF 6.0
_SIGNED = 2
_END_OF_CODESTREAM = b"\xff\xd9"  # ISO 15444-1, A.4.4: no packet holds these two bytes
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1")
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
        PictureError: It is not a picture, too large, or what its values mean is unknown.
        Exception: Whatever Pillow raises on damaged files.
    """
    with open_picture(content) as opened:
        _check_end(opened)
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
        raise PictureError(_unknown(content)) from error
    except Image.DecompressionBombError as error:
        raise _bomb() from error
    if opened.width * opened.height > MAX_PIXELS:
        raise _bomb()
    return opened


def _unknown(content: Path | bytes) -> str:
    """Say why a content is no picture here."""
    if isinstance(content, Path):
        with content.open("rb") as file:
            head = file.read(12)
    else:
        head = content[:12]
    if "HEIF" not in FORMATS and head[4:8] == b"ftyp" and head[8:] in _HEIF_BRANDS:
        return "HEIC, which Pillow can't decode: install pillow-heif, or convert it"
    return f"not a picture in one of {', '.join(FORMATS)}, or damaged"


def _check_end(opened: Image.Image) -> None:
    """Raise PictureError for a JPEG 2000 that breaks off: its decoder may make a blurred picture of it."""
    file = getattr(opened, "fp", None)
    if opened.format == "JPEG2000" and file is not None:
        at = file.tell()
        file.seek(0)
        is_whole = _END_OF_CODESTREAM in file.read()
        file.seek(at)
        if not is_whole:
            raise PictureError("truncated: a JPEG 2000 without its end")


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
    """Bring greys of more than 8 bits to 8, black to 0 and white to 255: PIL's own conversion clips them."""
    if picture.mode == "F":
        raise PictureError("floating-point pixels, whose range is unknown")
    if picture.mode == "I" and picture.format not in ("PNG", "PPM"):  # there mode I holds 16 bits
        raise PictureError("signed or 32-bit pixels, whose range is unknown")
    if _is_signed(picture):
        raise PictureError("signed pixels, whose range is unknown")
    if _has_unknown_inks(picture):
        raise PictureError("a CMYK JPEG that doesn't say whether its inks are inverted")
    if not picture.mode.startswith("I"):
        return picture
    greys, white = np.asarray(picture, dtype=np.int64), 2 ** _bits(picture) - 1
    if _white_is_zero(picture):
        greys = white - greys
    return Image.fromarray((greys * 255 // white).astype(np.uint8))


def _bits(picture: Image.Image) -> int:
    """Return the bits of a grey value that has more than 8."""
    return int(np.max(_tag(picture, _BITS, 16)))


def _white_is_zero(picture: Image.Image) -> bool:
    """Whether greys are to be turned round; up to 8 bits Pillow does it."""
    return bool(_tag(picture, _PHOTOMETRIC, 1) == 0)


def _is_signed(picture: Image.Image) -> bool:
    return _SIGNED in np.ravel(_tag(picture, _SAMPLE_FORMAT, 1))


def _has_unknown_inks(picture: Image.Image) -> bool:
    """Whether nothing says what 0 means: with Adobe's marker inks are inverted, and Pillow takes all so."""
    return picture.mode == "CMYK" and picture.format in ("JPEG", "MPO") and "adobe" not in picture.info


def _tag(picture: Image.Image, number: int, default: int) -> int | tuple[int, ...]:
    """Return a tag of a TIFF; the default where it has none, or is no TIFF."""
    value: int | tuple[int, ...] = getattr(picture, "tag_v2", {}).get(number, default)
    return value


def read_otherwise(picture: Image.Image) -> bytes:
    """Return what sets a picture apart that was read wrongly before `DECODING` 4: nothing for nearly all.

    It goes into the digest of a picture in its file, so that no row of before passes for one of today.
    """
    is_wide = picture.mode.startswith("I;16") and (_bits(picture) != 16 or _white_is_zero(picture))
    is_other = is_wide or (picture.mode == "L" and _is_signed(picture)) or _has_unknown_inks(picture)
    return b"read otherwise before" if is_other else b""


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
        counted = {name: getattr(self.listing, name) for name in ("ignored", "unlabelled", "found")}
        names, failures = self.listing.class_names, tuple(self.failures)
        return Decoded(pixels, labels, is_query, ids, names, failures, digests=digests, **counted)


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
