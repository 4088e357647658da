"""What is measured on one energy map: the names, units and meanings that tables take over as columns.

A new measure of concentration is a field here, which is its column of `records` and of `energy_maps`, its
formula in `u1core.measures.optics.focus`, and a test. Nothing here imports torch: the lake's schema reads it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


def _is(unit: str, description: str) -> dict[str, str]:
    return {"unit": unit, "description": description}


@dataclass(frozen=True)
class Focus:
    """How one energy map is concentrated; every field (B,), NaN where the map is empty or flat."""

    energy_total: Tensor = field(metadata=_is("activation^2", "sum over (x,y) of E(x,y) = sum_n A_n(x,y)^2"))
    dipole_x: Tensor = field(metadata=_is("half image", "energy centroid, real part of d"))
    dipole_y: Tensor = field(metadata=_is("half image", "energy centroid, imaginary part of d, y up"))
    quadrupole_x: Tensor = field(metadata=_is("1", "real part of sum E (x+iy)^2 / sum E r^2"))
    quadrupole_y: Tensor = field(metadata=_is("1", "imaginary part of sum E (x+iy)^2 / sum E r^2"))
    ee50_radius: Tensor = field(metadata=_is("half image", "radius that encircles 50 % of the energy"))
    ee80_radius: Tensor = field(metadata=_is("half image", "radius that encircles 80 % of the energy"))
    centre_density_ratio: Tensor = field(
        metadata=_is("1", "energy density inside r <= 1/2 over the density of the image")
    )
    anisotropy: Tensor = field(
        metadata=_is("1", "share of the spatial variance of E that is angular, within rings")
    )
    sombrero_a: Tensor = field(
        metadata=_is("activation^2", "a of E(r) = a - b r^2 + c r^4, least squares over pixels")
    )
    sombrero_b: Tensor = field(
        metadata=_is("activation^2", "b; null below three distinct radii, like a and c")
    )
    sombrero_c: Tensor = field(metadata=_is("activation^2", "c"))

    def numpy(self) -> dict[str, np.ndarray]:
        """Return every field as a float64 array (B,) by name."""
        return {f.name: getattr(self, f.name).cpu().numpy() for f in fields(self)}
