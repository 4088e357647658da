"""The arms of the comparison, and what each asks an image's point of the plane to be.

An arm is the one-hot loss (cross-entropy), a loss on a point of the plane, or both; all else is shared.
Shapes: n images, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from u1core.common.errors import U1Error

Angles = npt.NDArray[np.float64]

ANGLES = ("random", "equispaced", "measured")
"""Where the angle of a class comes from: drawn, spread evenly in a drawn order, or given from outside."""


@dataclass(frozen=True)
class Arm:
    """One arm.

    Attributes:
        name: In rows and file names.
        has_onehot: Cross-entropy is part of the loss.
        point: What the point of the plane is compared with: the angle of the image's class ('class'), that of
            another image's class ('shuffled'), a point off the circle for each class ('plane'), or nothing.
        smoothing: Share of a one-hot label that is spread evenly over all classes (Szegedy et al. 2016).
    """

    name: str
    has_onehot: bool
    point: str
    smoothing: float = 0.0

    @property
    def is_control(self) -> bool:
        """Whether the arm is there only to be compared with that of the class's angle."""
        return self.point in ("shuffled", "plane") or self.smoothing > 0

    @property
    def slug(self) -> str:
        """The name without characters that ids and paths do not take."""
        return self.name.replace("+", "-")


ARMS = {
    arm.name: arm
    for arm in (
        Arm("onehot", True, "nothing"),
        Arm("onehot+u1", True, "class"),
        Arm("u1", False, "class"),
        Arm("onehot+shuffled", True, "shuffled"),
        Arm("onehot+plane", True, "plane"),
        Arm("onehot+smoothing", True, "nothing", smoothing=0.1),
    )
}
"""The baseline, the paper's second and first version, and three controls: does any second task help, does the
circle matter, and is it better than the cheapest regulariser of labels?"""


def planned_angles(kind: str, classes: int, seed: int, measured: Angles | None = None) -> Angles:
    """Plan the angle theta_c of every class.

    Args:
        kind: One of ANGLES.
        classes: K.
        seed: Of what is drawn.
        measured: Radians by class, for 'measured'.

    Returns:
        Radians in (-pi, pi], (K,).

    Raises:
        U1Error: No such kind, or not one measured angle for each class.
    """
    if kind not in ANGLES:
        raise U1Error(f"angles as one of {', '.join(ANGLES)}", repr(kind), "name one of them")
    if kind == "measured":
        if measured is None or measured.shape != (classes,) or not np.isfinite(measured).all():
            todo = "sweep pretrained models over the task first, or take random angles"
            got = "none" if measured is None else f"{np.isfinite(measured).sum()}"
            raise U1Error(f"a measured direction for each of {classes} classes", got, todo)
        return measured
    rng = np.random.default_rng([seed, 1])
    if kind == "random":
        return -rng.uniform(-np.pi, np.pi, classes)
    return np.pi - 2 * np.pi * rng.permutation(classes) / classes


def planned_points(arm: Arm, angles_rad: Angles, labels: npt.NDArray[np.int64], seed: int) -> Angles:
    """Plan the point of every image.

    Off the circle, points are normal with mean square 1 (`onehot+plane`): as far from the origin as the
    circle's on average. Shuffled angles are the classes' own, given to other images once and for all.

    Args:
        arm: Whose.
        angles_rad: Of the classes, (K,).
        labels: Of the images, (n,).
        seed: Of what is drawn.

    Returns:
        Points of the plane, (n, 2).
    """
    rng = np.random.default_rng([seed, 2])
    of_class = np.stack([np.cos(angles_rad), np.sin(angles_rad)], axis=1)
    if arm.point == "plane":
        of_class = rng.normal(scale=np.sqrt(0.5), size=of_class.shape)
    if arm.point == "shuffled":
        labels = rng.permutation(labels)
    points: Angles = of_class[labels]
    return points
