"""Worlds with a known answer: pictures and a network whose activations hold one thing and nothing else.

A picture is made of blocks of 2 x 2 pixels, grey plus three textures that only differ in how the four pixels
alternate: columns, rows, checkers. What a network can read and the pixel bank can't is their balance, a
point of a plane ('hue') at constant energy. The network is the catalog's `small_cnn:16` with weights that are
written down instead of trained, so that random weights and other paddings of it mean what they always do.

Shape legend: B images, K classes, L x L places of the map at the bottleneck, S x S pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from u1core.images.cache import Images
from u1core.measures.pixel_grid import coordinates
from u1core.networks.reestimate import moments
from u1core.networks.sources.small_cnn import SmallCnn

_EPSILON = nn.BatchNorm2d(1).eps

CLASSES = 6
"""Few, so that all 720 permutations of them are asked at once."""

PLACES = 8
"""L."""

_TURNS = np.array([0.0, 0.13, 0.29, 0.47, 0.61, 0.83])
"""Directions of the classes in turns, unevenly spaced: were they even, 12 of 720 permutations would turn or
mirror them all, and agree as well as none does."""

_SIDE = 4 * PLACES
_ENERGY = 0.4
"""Root of the energy of all textures together, in units of the network's input: the same at every place."""

_BALANCED = np.ones(3) / np.sqrt(3)
_HUES = np.sqrt(2 / 3) * np.array([[1.0, -0.5, -0.5], [0.0, np.sqrt(0.75), -np.sqrt(0.75)]])
"""Axes of the plane of hues, orthonormal and orthogonal to a balance of all three textures, (2, 3)."""

_X, _Y = coordinates(PLACES, PLACES)


@dataclass(frozen=True)
class Maps:
    """What the pictures show at every place of the bottleneck.

    Attributes:
        hue: Balance of the three textures, (B, 2, L, L); 0 is all alike, 0.7 as far as it goes.
        grey: Luminance about the middle, (B, L, L), at most 0.25.
        stripes: Amplitude of stripes four pixels wide, whose edges show, (B, L, L); they take their energy
            from the textures.
    """

    hue: np.ndarray
    grey: np.ndarray
    stripes: np.ndarray


Draw = Callable[[np.ndarray, np.random.Generator], Maps]
"""From labels (B,) to what pictures show."""


def draw_images(draw: Draw, per_class: int, rng: np.random.Generator) -> Images:
    """Make pictures of CLASSES classes, so many of each in either split."""
    label = np.tile(np.arange(CLASSES), 2 * per_class)
    pixels = paint(draw(label, rng))
    fingerprint = hashlib.sha256(pixels.tobytes()).hexdigest()
    return Images(
        pixels,
        label.astype(np.int64),
        np.arange(len(label)) >= len(label) // 2,
        np.arange(len(label)),
        tuple(f"class {k}" for k in range(CLASSES)),
        fingerprint,
        found=len(label),
    )


def paint(maps: Maps) -> np.ndarray:
    """Return pictures (B, S, S, 1), uint8."""
    balance = _BALANCED[:, None, None] + np.einsum("bjyx,jt->btyx", maps.hue, _HUES)
    balance = np.maximum(balance, 0.15)
    strength = np.sqrt(np.maximum(_ENERGY**2 - maps.stripes**2, 0.0) / np.square(balance).sum(axis=1))
    rows, columns = np.indices((_SIDE, _SIDE))
    alternating = (-1.0) ** np.stack([columns, rows, rows + columns])  # (3, S, S)
    wide = np.sqrt(2) * np.cos(np.pi / 2 * columns + np.pi / 4)  # +, -, -, + : 1 in absolute value
    values = np.einsum("btyx,tyx->byx", _enlarged(balance * strength[:, None]), alternating)
    values += _enlarged(maps.grey) + _enlarged(maps.stripes) * wide
    grey_values: np.ndarray = np.rint(127.5 * (1 + np.clip(values, -1, 1))).astype(np.uint8)
    return grey_values[..., None]


def _enlarged(maps: np.ndarray) -> np.ndarray:
    return maps.repeat(4, axis=-2).repeat(4, axis=-1)


# -- what pictures show -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """A patch on noise.

    Attributes:
        place: From labels and generator to where the patch lies, complex (B,), half images.
        hue: From labels and generator to its hue, complex (B,): its length is how far it stands out.
        grey: How much brighter it is.
        stripes: Amplitude of its stripes.
        whole: Hue of the picture as a whole, complex (B,).
        profile: Its shape over the distance from its place, half images.
        noise: Standard deviation of hues, place by place.
    """

    place: Callable[[np.ndarray, np.random.Generator], np.ndarray]
    hue: Callable[[np.ndarray, np.random.Generator], np.ndarray] = lambda label, rng: np.zeros(len(label))
    grey: float = 0.0
    stripes: float = 0.0
    whole: Callable[[np.ndarray, np.random.Generator], np.ndarray] = lambda label, rng: np.zeros(len(label))
    profile: Callable[[np.ndarray], np.ndarray] = lambda r: np.exp(-(r**2) / (2 * 0.3**2))
    noise: float = 0.1

    def __call__(self, label: np.ndarray, rng: np.random.Generator) -> Maps:
        """Draw what pictures of these classes (B,) show: light anywhere, and the patch."""
        far = np.abs(_X + 1j * _Y - self.place(label, rng)[:, None, None])
        patch = self.profile(far)
        hue = self.hue(label, rng)[:, None, None] * patch + self.whole(label, rng)[:, None, None]
        shape = (len(label), 2, PLACES, PLACES)
        hues = np.stack([hue.real, hue.imag], axis=1) + self.noise * rng.normal(size=shape)
        stray = anywhere(label, rng)[:, None, None] - (_X + 1j * _Y)
        light = 0.15 * np.exp(-(np.abs(stray) ** 2) / (2 * 0.3**2)) * rng.choice([-1, 1], (len(label), 1, 1))
        return Maps(hues, np.clip(light + self.grey * patch, -0.3, 0.3), self.stripes * patch)


def anywhere(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return places all over the picture."""
    places: np.ndarray = rng.uniform(-0.8, 0.8, (len(label), 2)) @ (1, 1j)
    return places


def centred(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return places about the centre, as photographers choose them."""
    places: np.ndarray = 0.1 * rng.normal(size=(len(label), 2)) @ (1, 1j)
    return places


def in_the_middle(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the centre."""
    places: np.ndarray = np.zeros(len(label), dtype=complex)
    return places


def bell(r: np.ndarray) -> np.ndarray:
    """Return a patch's strength at a distance: a Gaussian."""
    strength: np.ndarray = np.exp(-(r**2) / (2 * 0.4**2))
    return strength


def paraboloid(r: np.ndarray) -> np.ndarray:
    """Return the strength whose square, which is what energies show, is a parabola."""
    strength: np.ndarray = np.sqrt(1 - r**2 / 2)
    return strength


def ring(r: np.ndarray) -> np.ndarray:
    """Return the strength whose square is 1 - 2.8 r^2 + 2.2 r^4: a Sombrero with its trough at 0.8."""
    strength: np.ndarray = np.minimum(np.sqrt(1 - 2.8 * r**2 + 2.2 * r**4), 1.2)
    return strength


def leaning(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return places that lie in the direction of the class."""
    angle = directions(label) + rng.vonmises(0.0, 4.0, len(label))
    places: np.ndarray = 0.5 * np.exp(1j * angle)
    return places


def directions(label: np.ndarray) -> np.ndarray:
    """Return the angle of each class, radians."""
    angles: np.ndarray = 2 * np.pi * _TURNS[label]
    return angles


def coloured(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return hues in the direction of the class."""
    hues: np.ndarray = 0.6 * np.exp(1j * (directions(label) + rng.vonmises(0.0, 4.0, len(label))))
    return hues


def dealt(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return hues of the classes, dealt at random: they know nothing of where patches lie."""
    return coloured(rng.permutation(CLASSES)[label], rng)


def toned(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return hues in the direction of the class, as weak as a tone of the whole picture is."""
    hues: np.ndarray = 0.5 * coloured(label, rng)
    return hues


def any_hue(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return hues that have nothing to do with the class."""
    hues: np.ndarray = 0.6 * np.exp(1j * rng.uniform(-np.pi, np.pi, len(label)))
    return hues


# -- what networks read -------------------------------------------------------------------------------------

_QUAD = np.zeros((4, 3, 3))
_QUAD[:, 1:, 1:] = (
    np.array([[[1, -1], [1, -1]], [[1, 1], [-1, -1]], [[1, -1], [-1, 1]], [[1, 1], [1, 1]]]) / 4
)
"""Kernels that read the three textures and the luminance of a block of 2 x 2 pixels."""

SLOPES = np.zeros((4, 3, 3))
SLOPES[0, 1:], SLOPES[1, 1:] = [1, 0, -1], [-1, 0, 1]
SLOPES[2, :, 1:], SLOPES[3, :, 1:] = [[1], [0], [-1]], [[-1], [0], [1]]
SLOPES /= 2
SLOPES[:, 1, 1] += 0.01
"""Central differences: all but blind to what alternates from pixel to pixel, and to plain grey."""

OPPOSED = np.array(
    [
        *([1, -1, 0, 0], [-1, 1, 0, 0], [0, 1, -1, 0], [0, -1, 1, 0], [-1, 0, 1, 0], [1, 0, -1, 0]),
        *([0.1, 0.1, 0.1, 0], [0, 0, 0, 0.1]),
    ]
)
"""Second stage that tells textures apart, each from each, and hardly sees anything else."""

LIGHT = np.outer(np.linspace(0.5, 1.5, 8), np.eye(4)[3])
"""Second stage that sees luminance above the middle grey alone."""

PASSED = np.array(
    [
        *([1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]),
        *([1, 1, 0, 0], [0, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0]),
    ]
)
"""Second stage that passes on whatever the first one sees."""
_TAPS = {"middle": [(1, 1)], "box": [(i, j) for i in range(3) for j in range(3)]}
_ASIDE = ((1, 0), (0, 2), (2, 2))
"""Where three channels look: to the left, up and right, down and right."""


@dataclass(frozen=True)
class Reader:
    """A network that is written down.

    Attributes:
        seen: Kernels of the first stage, (4, 3, 3).
        mixed: Weights of the second stage, (8, 4).
        taps: Places of the kernels of the second and third stage that see anything, alike.
        threshold: By how many standard deviations the last stage stays below 0.
        aside: Whether the third stage looks beside each place, every texture in another direction.
    """

    seen: np.ndarray = field(default_factory=lambda: _QUAD)
    mixed: np.ndarray = field(default_factory=lambda: PASSED)
    taps: str = "middle"
    threshold: float = 0.0
    aside: bool = False

    def kernels(self) -> list[np.ndarray]:
        """Return the kernels of the three stages, (N', N, 3, 3)."""
        first = np.repeat(self.seen[:, None], 3, axis=1) / 3
        second, third = self._spread(self.mixed), self._spread(_last())
        if self.aside:
            third = np.zeros((16, 8, 3, 3))
            for n in range(16):
                third[n, n % 3, *_ASIDE[n % 3]] = 1.0
        return [first, second, third]

    def _spread(self, weights: np.ndarray) -> np.ndarray:
        taps = _TAPS[self.taps]
        kernel = np.zeros((*weights.shape, 3, 3))
        for tap in taps:
            kernel[..., *tap] = weights / len(taps)
        return kernel


def _last() -> np.ndarray:
    """Return weights (16, 8) that give every channel two of the stage before."""
    eye = np.eye(8)
    return np.concatenate([eye + 0.5 * np.roll(eye, 3, axis=1), eye + 0.25 * np.roll(eye, 5, axis=1)])


def written(reader: Reader, pictures: Tensor, label: np.ndarray) -> dict[str, Tensor]:
    """Return the weights of a network that reads pictures as it is told, as if it had been trained on them.

    Its batch norms hold the statistics of these pictures and undo themselves, so that it changes with what
    re-estimates them as a trained one does; its head is the linear one of least squares.

    Args:
        reader: What it reads.
        pictures: The network's input, of the memory split, (B, 3, S, S).
        label: (B,).
    """
    kernels = [torch.from_numpy(kernel).float() for kernel in reader.kernels()]
    return _network(kernels, pictures, label, (0.0, 0.0, reader.threshold))


def drawn(seed: int, pictures: Tensor, label: np.ndarray) -> dict[str, Tensor]:
    """Return weights at random, with batch norms and a head of these pictures: nothing was learned."""
    generator = torch.Generator().manual_seed(seed)
    empty = SmallCnn(16, CLASSES).state_dict()
    kernels = [
        nn.init.kaiming_normal_(empty[f"stage{n}.0.weight"].clone(), generator=generator) for n in (1, 2, 3)
    ]
    return _network(kernels, pictures, label)


def _network(
    kernels: list[Tensor],
    pictures: Tensor,
    label: np.ndarray,
    thresholds: tuple[float, float, float] | None = None,
) -> dict[str, Tensor]:
    """Return the weights of a network with these kernels, whose norms and head fit these pictures.

    Args:
        kernels: Of the three stages.
        pictures: (B, 3, S, S).
        label: (B,).
        thresholds: Norms pass on what they see, less so many standard deviations; None: what they see at mean
            0 and deviation 1.
    """
    network = SmallCnn(16, CLASSES).eval()
    state = network.state_dict()
    with torch.inference_mode():
        x = pictures
        for number, kernel in enumerate(kernels):
            stage = f"stage{number + 1}"
            x = network.pool(x) if number else x
            state[f"{stage}.0.weight"].copy_(kernel)
            mean, variance = moments(conv2d(x, kernel, padding=1))
            state[f"{stage}.1.running_mean"].copy_(mean)
            state[f"{stage}.1.running_var"].copy_(variance)
            if thresholds is not None:
                deviation = (variance + _EPSILON).sqrt()
                state[f"{stage}.1.weight"].copy_(deviation)
                state[f"{stage}.1.bias"].copy_(mean - thresholds[number] * deviation)
            x = network.get_submodule(stage)(x)
        pooled = np.column_stack([x.mean((2, 3)).numpy(), np.ones(len(x))])
        found = torch.from_numpy(np.linalg.lstsq(pooled, np.eye(CLASSES)[label], rcond=1e-4)[0])
        state["linear.weight"].copy_(found[:-1].T)
        state["linear.bias"].copy_(found[-1])
    return {name: value.clone() for name, value in state.items()}
