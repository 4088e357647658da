"""Pictures altered so that one explanation at a time is left: rolled, flat, noise, half hidden.

All of it is done to pictures as a network is fed them, resized and cropped: a roll there is a roll of the
network's torus, and no pixel takes part that the network never sees. Each keeps something of the picture to
the last grey level and destroys the rest (docs/method.md, 'Altered pictures').
Shapes: B pictures of S x S pixels with C colours, uint8 (B, S, S, C).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from u1core.images.draws import picture_phases, pixel_orders, rolls
from u1core.measures.pixel_grid import UNIFORM_EE50_RADIUS, coordinates

Alteration = Callable[[Tensor, Sequence[int]], Tensor]
"""From pictures and their ids (B,) to pictures."""

_FINE = 384
"""Points along a side, at least, at which a pixel's share of the disc is sampled, as in `measures.optics`."""


def roll(pictures: Tensor, image_ids: Sequence[int]) -> Tensor:
    """Roll every picture on the torus by its own shift (`draws.rolls`): the same pixels, elsewhere."""
    shifts = rolls(image_ids, pictures.shape[1]).tolist()
    rolled = [
        picture.roll((-up, right), (0, 1)) for picture, (right, up) in zip(pictures, shifts, strict=True)
    ]
    return torch.stack(rolled)


def flatten(pictures: Tensor, image_ids: Sequence[int]) -> Tensor:
    """Replace every pixel by the picture's mean colour, rounded."""
    return _mean_colour(pictures).round().to(torch.uint8).expand_as(pictures)


def scramble_phases(pictures: Tensor, image_ids: Sequence[int]) -> Tensor:
    """Give every picture random phases, one field for all colours, and keep its amplitude spectrum.

    Phases are added, so that colours keep what they have in common (Prichard and Theiler 1994,
    doi:10.1103/PhysRevLett.73.951). What leaves 0..255 is clipped, the rest rounded.
    """
    turns = torch.from_numpy(picture_phases(image_ids, pictures.shape[1])).to(pictures.device)
    spectrum = torch.fft.fft2(pictures.double(), dim=(1, 2)) * turns[..., None]
    noise: Tensor = torch.fft.ifft2(spectrum, dim=(1, 2)).real
    return noise.round().clamp(0, 255).to(torch.uint8)


def shuffle_pixels(pictures: Tensor, image_ids: Sequence[int]) -> Tensor:
    """Put the pixels of every picture into a random order: white noise of the picture's own colours."""
    pixels = pictures.flatten(1, 2)  # (B, S * S, C)
    order = torch.from_numpy(pixel_orders(image_ids, pixels.shape[1])).to(pixels.device)
    return pixels.gather(1, order[..., None].expand_as(pixels)).view_as(pictures)


def hide_centre(pictures: Tensor, image_ids: Sequence[int]) -> Tensor:
    """Replace the disc of half the picture's area about its centre by the mean colour."""
    return _hide(pictures, _disc(pictures.shape[1]))


def hide_ring(pictures: Tensor, image_ids: Sequence[int]) -> Tensor:
    """Replace what lies around that disc, the other half of the area, by the mean colour."""
    return _hide(pictures, 1.0 - _disc(pictures.shape[1]))


def _hide(pictures: Tensor, hidden: Tensor) -> Tensor:
    """Blend pictures with their mean colour where `hidden`, (S, S), is 1."""
    share = hidden.to(pictures.device)[..., None]
    blended = pictures.double() * (1.0 - share) + _mean_colour(pictures) * share
    return blended.round().to(torch.uint8)


@lru_cache(maxsize=16)
def _disc(size: int) -> Tensor:
    """Return the share of every pixel's area that lies in the disc, (S, S)."""
    points = max(1, math.ceil(_FINE / size))
    x, y = coordinates(size * points, size * points)
    inside = torch.from_numpy((x * x + y * y <= UNIFORM_EE50_RADIUS**2).astype(float))
    return inside.view(size, points, size, points).mean(dim=(1, 3))


def _mean_colour(pictures: Tensor) -> Tensor:
    """Return (B, 1, 1, C), float64."""
    return pictures.double().mean(dim=(1, 2), keepdim=True)
