"""Variants: the same cell with one thing changed, so that every control runs through the same pipeline.

Controls change what the answer must follow (a mirrored picture, shuffled channels, untrained weights);
jitter changes what it should ignore (a pixel's shift, the precision); attribution takes a cheap explanation
away (zeros at the edge, the sizes of channels). What each is expected to do to theta stands in
sql/views/rows/variant_transforms.sql. Shape legend: B images, C colours, N channels, H x W pixels.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn.functional import pad

from u1core.common.errors import U1Error
from u1core.images import altered
from u1core.images.altered import Alteration
from u1core.images.resize import luminance

Change = Callable[[Tensor], Tensor]

PERMUTATION_SEED = 0


def _same(x: Tensor) -> Tensor:
    return x


@dataclass(frozen=True)
class Variant:
    """What is changed, and where.

    Attributes:
        group: 'original', or what selects it: see `VARIANTS`.
        pixels: Applied to decoded pictures (B, H, W, C), uint8.
        fed: Applied in order to pictures resized and cropped (B, S, S, C), uint8, and told their ids (B,).
        inputs: Applied to the network's input (B, 3, H, W).
        activations: Applied to every layer's activations (B, N, H, W).
        trained: Whether the network keeps its weights; else they are random.
        precision: Arithmetic of the forward pass; None leaves the sweep's.
        seed: Of random weights.
        padding: 'circular' or 'reflect', what stands beyond the edge of every map; '' leaves the network's.
        norms: 'reestimated': batch norms take their statistics from this cell's memory split; 'moved': they
            are moved by what the padding alone moves on it; '' leaves them.
        unit_channels: Whether every layer's channels are brought to root mean square 1 over that split.
        asks_head: Whether the network's own answers are scored, too.
    """

    group: str
    pixels: Change = _same
    fed: tuple[Alteration, ...] = ()
    inputs: Change = _same
    activations: Change = _same
    trained: bool = True
    precision: str | None = None
    seed: int = 0
    padding: str = ""
    norms: str = ""
    unit_channels: bool = False
    asks_head: bool = False

    @property
    def changes_network(self) -> bool:
        """Whether another network answers, not the same one to other pictures."""
        return not self.trained or bool(self.norms) or bool(self.padding)

    @property
    def shows_in_pictures(self) -> bool:
        """Whether a model without a network (`pixels`) can show it."""
        changes_pictures = self.pixels is not _same or self.inputs is not _same or bool(self.fed)
        return self.group == "original" or (changes_pictures and not self.changes_network)

    @property
    def is_rolled(self) -> bool:
        """Whether every picture is rolled by the shift that `records` tells."""
        return altered.roll in self.fed


def joined(first: Variant, second: Variant, group: str) -> Variant:
    """Return the variant that changes what both do, `first` before `second` where both change the same.

    Raises:
        U1Error: Both ask for another padding, precision or seed.
    """
    for name in ("padding", "precision", "seed"):
        ours, theirs = getattr(first, name), getattr(second, name)
        if ours and theirs and ours != theirs:
            raise U1Error(f"one {name} in a joined variant", f"{ours} and {theirs}", "join others")
    return Variant(
        group,
        pixels=_then(first.pixels, second.pixels),
        fed=first.fed + second.fed,
        inputs=_then(first.inputs, second.inputs),
        activations=_then(first.activations, second.activations),
        trained=first.trained and second.trained,
        precision=first.precision or second.precision,
        seed=first.seed or second.seed,
        padding=first.padding or second.padding,
        norms=max(first.norms, second.norms),  # 'reestimated' forgets what is stored, and what moved it
        unit_channels=first.unit_channels or second.unit_channels,
        asks_head=first.asks_head and second.asks_head,
    )


def _then(first: Change, second: Change) -> Change:
    if first is _same or second is _same:
        return second if first is _same else first
    return lambda x: second(first(x))


def _rotate(quarter_turns: int, pictures: Tensor) -> Tensor:
    """Turn pictures (B, H, W, C) counter-clockwise."""
    return pictures.rot90(quarter_turns, dims=(1, 2))


def _mirror(pictures: Tensor) -> Tensor:
    """Exchange left and right of pictures (B, H, W, C)."""
    return pictures.flip(2)


def _grey(pictures: Tensor) -> Tensor:
    """Replace colours by luminance, rounded to whole grey levels; grey pictures stay as they are."""
    if pictures.shape[3] == 1:
        return pictures
    return luminance(pictures.permute(0, 3, 1, 2)).round().to(torch.uint8).permute(0, 2, 3, 1)


def _permute_channels(activations: Tensor) -> Tensor:
    """Shuffle the channels of activations (B, N, H, W), in one order per N, the same for every image."""
    generator = torch.Generator().manual_seed(PERMUTATION_SEED)
    order = torch.randperm(activations.shape[1], generator=generator)
    return activations[:, order.to(activations.device)]


def _shift(right: int, down: int, inputs: Tensor) -> Tensor:
    """Move inputs (B, 3, H, W) by whole pixels; the pixels at the edge that opens are repeated."""
    height, width = inputs.shape[2:]
    padded = pad(inputs, (1, 1, 1, 1), mode="replicate")
    return padded[:, :, 1 - down : 1 - down + height, 1 - right : 1 - right + width]


POPULATION = range(20)
"""Seeds of random weights: the spread of one figure over networks that nobody trained. What trained weights
give with circular padding is compared with a population of that padding, so there are two."""

_NETWORK_CHANGES = {
    "reestimated": Variant("attribution", norms="reestimated", asks_head=True),
    "pad-circular": Variant("attribution", padding="circular", norms="moved", asks_head=True),
    "pad-reflect": Variant("attribution", padding="reflect", norms="moved", asks_head=True),
    "unit-channels": Variant("gauge", unit_channels=True, asks_head=True),
    **{
        f"random-init:{seed}": Variant("population", trained=False, seed=seed, norms="reestimated")
        for seed in POPULATION
    },
}
"""What changes the network, or how its layers are read. Norms that were trained are moved by the padding
alone; `reestimated` is what norms do that were made for this memory split's pictures, unaugmented."""

_ROLL = Variant("attribution", fed=(altered.roll,), asks_head=True)

VARIANTS = MappingProxyType(
    {
        "original": Variant("original", asks_head=True),
        "random-init": Variant("controls", trained=False),
        "hflip": Variant("controls", pixels=_mirror),
        "rot90": Variant("controls", pixels=partial(_rotate, 1)),
        "rot180": Variant("controls", pixels=partial(_rotate, 2)),
        "rot270": Variant("controls", pixels=partial(_rotate, 3)),
        "channel-permuted": Variant("controls", activations=_permute_channels),
        "gray": Variant("controls", pixels=_grey),
        "shift-left": Variant("jitter", inputs=partial(_shift, -1, 0)),
        "shift-right": Variant("jitter", inputs=partial(_shift, 1, 0)),
        "shift-up": Variant("jitter", inputs=partial(_shift, 0, -1)),
        "shift-down": Variant("jitter", inputs=partial(_shift, 0, 1)),
        "bfloat16": Variant("jitter", precision="bfloat16"),
        **_NETWORK_CHANGES,
        "roll": _ROLL,
        "pad-circular+roll": joined(_ROLL, _NETWORK_CHANGES["pad-circular"], "attribution"),
        **{
            f"pad-circular+random-init:{seed}": joined(
                _NETWORK_CHANGES["pad-circular"], _NETWORK_CHANGES[f"random-init:{seed}"], "population"
            )
            for seed in POPULATION
        },
        "constant": Variant("template", fed=(altered.flatten,)),
        "phase-noise": Variant("template", fed=(altered.scramble_phases,)),
        "white": Variant("template", fed=(altered.shuffle_pixels,)),
        "occlude-centre": Variant("occlusion", fed=(altered.hide_centre,), asks_head=True),
        "occlude-ring": Variant("occlusion", fed=(altered.hide_ring,), asks_head=True),
    }
)
"""Every variant by name."""


GROUPS = tuple(dict.fromkeys(v.group for v in VARIANTS.values() if v.group != "original"))
"""What `--variants` takes for several at once."""

SEEDED = tuple(name for name, v in VARIANTS.items() if v.group == "population")
"""Random weights, seed by seed, with the network's own padding and with circular."""


def select_variants(patterns: str) -> tuple[str, ...]:
    """Choose variants by names, globs or groups ('controls', ...), each once, in the order asked for.

    Raises:
        U1Error: A pattern matches nothing.

    Example:
        >>> select_variants("original,rot*")
        ('original', 'rot90', 'rot180', 'rot270')
    """
    chosen: dict[str, None] = {}
    for pattern in (part.strip() for part in patterns.split(",")):
        found = [
            name for name, v in VARIANTS.items() if v.group == pattern or fnmatch.fnmatchcase(name, pattern)
        ]
        if not found:
            names = [name for name in VARIANTS if name not in SEEDED]
            seeded = dict.fromkeys(name.rpartition(":")[0] for name in SEEDED)
            seeds = ", ".join(f"{name}:{POPULATION[0]} to :{POPULATION[-1]}" for name in seeded)
            valid = f"groups {', '.join(GROUPS)}; variants {', '.join(names)}, {seeds}"
            raise U1Error(
                "--variants to name variants, globs or groups", repr(pattern), f"choose from {valid}"
            )
        chosen.update(dict.fromkeys(found))
    return tuple(chosen)
