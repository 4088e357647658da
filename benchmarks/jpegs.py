"""Make a folder of JPEG photographs per class: about 400 x 500 px, 40 to 100 kB, always the same ones.

    .venv/bin/python benchmarks/jpegs.py pictures --images 1000

The pictures are CIFAR-10's: real ones, with labels, that every machine can get. Enlarged bicubically they
have no detail, so that a decoder would have hardly anything to do; noise with the falling spectrum of natural
pictures (amplitude about 1/f, Field 1987, J. Opt. Soc. Am. A 4) brings the files to a photograph's size.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image

from u1core.catalog.catalog import load_catalog
from u1core.images.cache import default_cache, open_images, select_images

QUALITY = 90
SHORT, LONG = (360, 440), (450, 550)
OCTAVES = (1, 2, 4, 8, 16)
GREY_LEVELS = (3.0, 9.0)
"""Standard deviation of an octave of the noise, per picture; all octaves have the same, as 1/f asks for."""


def make(folder: Path, images: int) -> Path:
    """Make the folder unless it is there already.

    Args:
        folder: Where; gets a sub-folder per class.
        images: How many, balanced over the classes.

    Returns:
        The folder.

    Raises:
        U1Error: CIFAR-10 can't be had.
    """
    mark = folder / ".complete"
    if mark.is_file() and json.loads(mark.read_text()) == images:
        return folder
    entry = load_catalog().datasets["cifar10"]
    cifar = open_images(entry, default_cache())
    for position in select_images(cifar, images // 2):
        path = folder / cifar.class_names[cifar.labels[position]] / f"{position:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        photograph(cifar.pixels[position], int(position)).save(path, quality=QUALITY)
    mark.write_text(json.dumps(images))
    return folder


def photograph(small: np.ndarray, seed: int) -> Image.Image:
    """Enlarge a picture (32, 32, 3) and give it detail; two in three are wider than high."""
    rng = np.random.default_rng(seed)
    short, long = int(rng.integers(*SHORT)), int(rng.integers(*LONG))
    width, height = (long, short) if rng.random() < 2 / 3 else (short, long)
    large = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    detail = _detail(rng, width, height)
    return Image.fromarray(np.clip(np.asarray(large) + detail[..., None], 0, 255).astype(np.uint8))


def _detail(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Return noise (height, width) in grey levels, octave by octave."""
    total = np.zeros((height, width), dtype=np.float32)
    deviation = rng.uniform(*GREY_LEVELS)
    for octave in OCTAVES:
        size = -(-height // octave), -(-width // octave)
        noise = Image.fromarray(rng.normal(0, deviation, size).astype(np.float32))
        total += np.asarray(noise.resize((width, height), Image.Resampling.BICUBIC))
    return total


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=1000)
    options = parser.parse_args()
    files = sorted(make(options.folder, options.images).rglob("*.jpg"))
    kilobytes = np.array([path.stat().st_size for path in files]) / 1e3
    low, middle, high = np.percentile(kilobytes, (5, 50, 95))
    print(f"{len(files)} files, {low:.0f} to {high:.0f} kB, median {middle:.0f} kB")


if __name__ == "__main__":
    main()
