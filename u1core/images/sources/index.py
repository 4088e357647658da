"""What a listing holds, by headers and bytes, before anything is decoded: which pictures, and how large.

Shapes: n pictures.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from u1core.common.progress import Progress, untold
from u1core.images.sources.listing import Content, Decoded, Listing, Picture
from u1core.images.sources.pictures import (
    Split,
    check_regular,
    for_each,
    open_picture,
    read_otherwise,
    reason,
)

SMALL = 256
"""Side in pixels up to which pictures of one square size are kept decoded, as they are."""


def index_listing(listing: Listing, progress: Progress = untold) -> tuple[Decoded, bool]:
    """Read every picture's bytes and header; one that is no picture becomes a failure and stops nothing.

    Args:
        listing: The pictures.
        progress: Called with pictures done and pictures in all.

    Returns:
        The data set with the sha256 of every picture, and whether all are small squares of one size.

    Raises:
        SourceError: The reader gave fewer or more pictures than labels.
    """

    def look(item: tuple[int, Picture]) -> tuple[int, bytes, tuple[int, int] | str]:
        image_id, picture = item
        try:
            return image_id, *_look(picture.content)  # type: ignore[arg-type]
        except Exception as error:  # of many kinds; each is this picture's failure alone
            return image_id, b"", reason(picture, error)

    split, digests, sizes = Split.of(listing), [], set()
    for image_id, digest, size in for_each(listing, look, progress):
        if isinstance(size, str):
            split.fail(image_id, size)
            continue
        split.keep(image_id)
        digests.append(np.frombuffer(digest, dtype=np.uint8))
        sizes.add(size)
    is_small = len(sizes) <= 1 and all(width == height <= SMALL for width, height in sizes)
    return split.decoded(None, np.array(digests, dtype=np.uint8).reshape(-1, 32)), is_small


def _look(content: Content) -> tuple[bytes, tuple[int, int]]:
    """Return the sha256 and the size of a picture."""
    if isinstance(content, Path):
        check_regular(content)
        content = content.read_bytes()
    with open_picture(content) as opened:
        if isinstance(content, bytes):
            return hashlib.sha256(content + read_otherwise(opened)).digest(), opened.size
        return _digest(opened), opened.size


def _digest(picture: Image.Image) -> bytes:
    digest = hashlib.sha256(f"{picture.mode} {picture.size}\n".encode())
    digest.update(picture.tobytes())
    return digest.digest()
