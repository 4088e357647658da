"""What files are by their names: pictures, what usually lies beside pictures, and the rest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "JPEG": (".jfi", ".jfif", ".jif", ".jpe", ".jpeg", ".jpg", ".mpo", ".pjp", ".pjpeg"),
    "PNG": (".apng", ".png"),
    "PPM": (".pbm", ".pfm", ".pgm", ".pnm", ".ppm"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "AVIF": (".avif", ".avifs"),
    "JPEG2000": (".j2c", ".j2k", ".jp2", ".jpc", ".jpf", ".jpx"),
    "HEIF": (".heic", ".heics", ".heif", ".heifs", ".hif"),
}
"""By format, as Pillow calls it: what its files are called, in any case.

What is called so and can't be decoded is a failure, with its reason; what is called otherwise is ignored, and
counted.
"""

IMAGE_SUFFIXES = tuple(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)

COMPANIONS = frozenset(
    {
        *(".csv", ".db", ".html", ".ini", ".json", ".jsonl", ".log", ".md", ".rst", ".tsv", ".txt", ".xml"),
        *(".yaml", ".yml"),
    }
)
"""What lies beside pictures everywhere and is none: notes, labels, boxes, Thumbs.db, desktop.ini."""

HIDDEN, ELSEWHERE, BARE = "hidden", "pictures outside the classes and splits", "without suffix"
_EXPECTED = {HIDDEN, ELSEWHERE, *COMPANIONS}


def kind_of(name: str) -> str:
    """Say what an ignored file is.

    Example:
        >>> [kind_of(name) for name in ("a/.DS_Store", "top.PNG", "a/x.TGA", "README")]
        ['hidden', 'pictures outside the classes and splits', '.tga', 'without suffix']
    """
    path = PurePosixPath(name)
    if any(part.startswith(".") for part in path.parts):
        return HIDDEN
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return ELSEWHERE
    return suffix if re.fullmatch(r"\.\w{1,11}", suffix) else BARE


def is_foreign(kind: str) -> bool:
    """Whether files of a kind may be pictures that nobody here knows."""
    return kind not in _EXPECTED
