"""A run: one network trained once on one task, by one arm of the comparison from one seed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from u1core.catalog.entries import MAX_ID, DatasetEntry, ModelEntry
from u1core.common.errors import U1Error
from u1core.common.runtime import resolve_device
from u1core.images.cache import Images, select_images
from u1core.images.sources.listing import rank_within_class
from u1core.networks.identity import identity_of
from u1core.training.arms import ANGLES, ARMS, Angles, Arm, planned_angles
from u1core.training.objective import SITES

if TYPE_CHECKING:
    from u1core.lake.store import RunId

PRECISIONS = ("float32", "bfloat16")
SCHEDULES = ("constant", "rising", "falling")
"""Of the U(1) loss's weight over a run: as it is, from 0 to it, or from it to 0, along a cosine."""

_FORMAT = 1
"""Part of every run's key: raise it when the same settings train another network."""

_SEVERAL_HEADS = frozenset({"torchvision:googlenet", "torchvision:inception_v3"})
"""Networks of which runs of before trained an auxiliary head instead: their keys are others now."""


def choose_precision(named: str, device: str) -> str:
    """Resolve 'auto': bfloat16 on a GPU that computes in it, else float32."""
    if named != "auto":
        return named
    import torch

    on_gpu = resolve_device(device).startswith("cuda")
    return "bfloat16" if on_gpu and torch.cuda.is_bf16_supported() else "float32"


@dataclass(frozen=True)
class Recipe:
    """What all arms of a comparison share.

    Stochastic gradient descent with Nesterov momentum; the learning rate rises linearly to its peak and falls
    along a cosine to 0 (Goyal et al. 2017, section 2.2; Loshchilov & Hutter 2017, eq. 5).

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images per step.
        learning_rate: Its peak.
        warm_up: Share of the steps in which it rises.
        momentum: Nesterov's.
        weight_decay: On every parameter.
        precision: Arithmetic of forward and backward passes; weights are float32.
        limit: Class-balanced images per split; None for all.
        validation: Share of the memory split that is held out for choosing the weight; 0 for none.
        angles: How classes get their angles: one of ANGLES.
        site: Where the point of the plane is read: one of SITES.
        schedule: Of the weight: one of SCHEDULES.
        mirror: Whether pictures are mirrored too.
    """

    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 0.1
    warm_up: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    precision: str = "float32"
    limit: int | None = None
    validation: float = 0.1
    angles: str = "random"
    site: str = "head"
    schedule: str = "constant"
    mirror: bool = True

    def __post_init__(self) -> None:
        for option, value, valid in (
            ("--precision", self.precision, PRECISIONS),
            ("--angles", self.angles, ANGLES),
            ("--site", self.site, SITES),
            ("--weight-schedule", self.schedule, SCHEDULES),
        ):
            if value not in valid:
                raise U1Error(f"{option} to be one of {', '.join(valid)}", repr(value), "name one of them")
        if not 0 <= self.validation <= 0.5:
            raise U1Error("--validation to be a share from 0 to 0.5", str(self.validation), "correct it")

    def learning_rate_at(self, share: float) -> float:
        """Return the learning rate once a share of the steps is done."""
        if share < self.warm_up:
            return self.learning_rate * share / self.warm_up
        falling = (share - self.warm_up) / (1 - self.warm_up)
        return float(self.learning_rate * (1 + np.cos(np.pi * falling)) / 2)

    def weight_at(self, weight: float, share: float) -> float:
        """Return the weight of the loss on points once a share of the steps is done."""
        if self.schedule == "constant":
            return weight
        falling = float((1 + np.cos(np.pi * share)) / 2)
        return weight * (falling if self.schedule == "falling" else 1 - falling)


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        task: Its data set.
        fingerprint: Of the data set.
        network: A resolved entry without weights.
        recipe: What it shares with the other arms.
        arm: What it is trained for: a name of ARMS.
        weight: lambda, of the loss on points beside the one-hot loss.
        seed: Of initial weights, order, augmentation and angles.
        measured: Radians by class, where the recipe takes measured angles.
    """

    task: DatasetEntry
    fingerprint: str
    network: ModelEntry
    recipe: Recipe
    arm: str
    weight: float
    seed: int
    measured: tuple[float, ...] = ()

    @property
    def of_arm(self) -> Arm:
        """The arm."""
        return ARMS[self.arm]

    @cached_property
    def experiment(self) -> str:
        """Hash of what runs have to share to be compared: all but arm, weight and seed."""
        return _hash(self._shared())

    @cached_property
    def key(self) -> str:
        """Hash of everything that decides the trained weights."""
        return _hash(self._shared() | {"arm": self.arm, "weight": self.weight, "seed": self.seed})

    def _shared(self) -> dict[str, Any]:
        identity = identity_of(self.network)
        own_loss = {"loss": "main head"} if self.network.architecture in _SEVERAL_HEADS else {}
        return {
            "task": {"id": self.task.id, "fingerprint": self.fingerprint},
            "network": {name: identity[name] for name in ("architecture", "preprocessing")}
            | {"bottleneck": self.network.bottleneck}
            | own_loss,
            "recipe": asdict(self.recipe),
            "measured": self.measured,
            "format": _FORMAT,
        }

    @property
    def id(self) -> RunId:
        """What the lake knows the run by."""
        from u1core.lake.store import RunId

        return RunId(
            self.key,
            self.experiment,
            self.task.id,
            self.network.architecture,
            self.arm,
            self.weight,
            self.seed,
        )

    @property
    def model_id(self) -> str:
        """What the catalog calls the trained network."""
        network = re.sub(r"[^A-Za-z0-9_.-]+", "-", self.network.architecture)
        return f"{self.task.id[: MAX_ID // 2]}.{network}.{self.of_arm.slug}.s{self.seed}.{self.key[:6]}"

    def angles(self, classes: int) -> Angles:
        """Return the planned angle of every class, radians, (K,); the same in all arms of a seed."""
        return planned_angles(self.recipe.angles, classes, self.seed, np.array(self.measured))

    def entry(self, sha256: str, class_names: Sequence[str]) -> ModelEntry:
        """Return the catalog's entry of the trained network, whose head has these classes."""
        has_head = self.of_arm.has_onehot  # else the network's own head has learned nothing
        return replace(
            self.network,
            id=self.model_id,
            weights=f"file:{self.model_id}.safetensors",
            sha256=sha256,
            label_space=self.task.label_space if has_head else "none",
            class_names=tuple(class_names) if has_head else (),
            objective=self.arm,
            description=f"trained here: {self}",
        )

    def __str__(self) -> str:
        has_both = self.of_arm.has_onehot and self.of_arm.point != "nothing"
        weight = f" {self.weight:g}" if has_both else ""
        return f"{self.arm}{weight} on {self.task.id}, seed {self.seed}"


def _hash(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


class Division(NamedTuple):
    """Positions of the images of a run, ascending."""

    train: npt.NDArray[np.int64]
    validation: npt.NDArray[np.int64]
    test: npt.NDArray[np.int64]

    @classmethod
    def of(cls, images: Images, recipe: Recipe) -> Division:
        """Divide a data set.

        The query split is the test set; of the memory split the same share of every class is held out, the
        same images for every seed.

        Raises:
            U1Error: Too few images are left to train on.
        """
        selection = select_images(images, recipe.limit)
        is_query = images.is_query[selection]
        memory = selection[~is_query]
        held_out = np.zeros(len(memory), dtype=bool)
        if recipe.validation:
            every = round(1 / recipe.validation)
            held_out = rank_within_class(images.labels[memory]) % every == every - 1
        if (~held_out).sum() < 2:
            raise U1Error("at least 2 images to train on", str((~held_out).sum()), "raise --limit")
        return cls(memory[~held_out], memory[held_out], selection[is_query])
