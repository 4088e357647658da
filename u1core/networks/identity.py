"""What makes the activations of a network reproducible: part of the key of every cell and training."""

from __future__ import annotations

import functools
import json

from u1core.catalog.entries import ModelEntry


def identity_of(entry: ModelEntry) -> dict[str, str]:
    """Say what determines the activations of an entry's network; opens no file.

    Returns:
        architecture, weights, sha256, preprocessing (JSON, keys sorted) and layers (JSON).

    Raises:
        U1Error: torchvision has no such weights.
    """
    numbers = entry.preprocessing
    return {
        "architecture": entry.architecture + (f"#{entry.code_version[:16]}" if entry.code_version else ""),
        "weights": entry.weights,
        "sha256": entry.sha256,
        "preprocessing": _enum_preprocessing(entry.weights) if numbers is None else numbers.to_json(),
        "layers": json.dumps(entry.layers),
    }


@functools.cache
def _enum_preprocessing(weights: str) -> str:
    """Ask a torchvision weights enum for its preprocessing, as JSON with sorted keys."""
    # Only entries without numbers of their own pay for this import.
    from u1core.networks.sources.torchvision_models import weights_enum

    transform = weights_enum(weights).transforms()
    names = ("crop_size", "resize_size", "mean", "std", "interpolation", "antialias")
    numbers = {name: getattr(transform, name) for name in names}
    return json.dumps(numbers, sort_keys=True, default=lambda value: getattr(value, "value", str(value)))
