"""What a trained run leaves: answers to the test set, a weights file, a catalog entry, a row of the lake."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from u1core.catalog.edit import add_model
from u1core.catalog.entries import ModelEntry
from u1core.common.errors import U1Error
from u1core.images.cache import Images
from u1core.lake.storage import LocalStorage
from u1core.lake.store import Lake
from u1core.networks.preprocess import preprocessing_of
from u1core.networks.resolve import describe_path
from u1core.training.loop import Predictions, Training
from u1core.training.run import Run

CATALOG = "catalog.toml"
"""Of the trained networks, in their folder."""


def conclude(
    run: Run, images: Images, lake: Lake, device: str, folder: Path, *, is_tested: bool
) -> ModelEntry | None:
    """Keep a trained run: its row in the lake and, if it is tested, its network in a folder.

    The unfinished state of one that is not stays: with other seeds its weight may be the one that is chosen.

    Args:
        run: One that `u1core.training.loop.train` has trained.
        images: The task's.
        lake: Where its state is.
        device: A torch device.
        folder: Of the trained networks.
        is_tested: Whether its weight was chosen: then the test set is asked, once, and the network kept.

    Returns:
        The catalog's entry of the trained network; None where it was not chosen.

    Raises:
        U1Error: It is not trained to its end.
    """
    with images.open_pixels(preprocessing_of(run.network)) as source:
        training = Training(run, images, source, device)
        training.restore(lake)
        if len(training.rows) != run.recipe.epochs:
            got = f"{len(training.rows)}"
            raise U1Error(f"{run.recipe.epochs} epochs of {run}", got, "run `u1 train` again")
        entry, answered = None, None
        if is_tested:
            entry = _keep_network(run, training.weights(), images.class_names, folder)
            predictions = _predictions(training, images)
            answered = len(predictions["image_id"])
            lake.write("training_predictions", run.id, predictions)
        row = _row(training, entry, answered) | {"selected_at": [lake.next_selection(run.id)]}
        lake.write("training_runs", run.id, row)
    if is_tested:
        lake.drop_work(run.id)
    return entry


def is_trained(run: Run, lake: Lake) -> bool:
    """Tell whether a run came to its end, and is tested or can still be."""
    row = _row_of(run, lake)
    return row is not None and (row["is_tested"] or bool(lake.states(run.id)))


def kept_entry(run: Run, lake: Lake) -> ModelEntry | None:
    """Return the entry of a run that was tested; None of one that was not."""
    row = _row_of(run, lake)
    return run.entry(row["weights_sha256"], row["class_names"]) if row and row["is_tested"] else None


def _row_of(run: Run, lake: Lake) -> dict[str, Any] | None:
    if not lake.parts("training_runs", run.id):
        return None
    row: dict[str, Any] = lake.read("training_runs", run.id).to_pylist()[0]
    return row


def select(run: Run, lake: Lake) -> None:
    """Make the experiment of a run that the lake holds the current one of its task and network."""
    row = lake.read("training_runs", run.id).to_pylist()[0] | {"selected_at": lake.next_selection(run.id)}
    lake.write("training_runs", run.id, {name: [value] for name, value in row.items()})


def _keep_network(run: Run, weights: bytes, class_names: Sequence[str], folder: Path) -> ModelEntry:
    """Write the weights file whole or not at all, and the network's entry beside it."""
    entry = run.entry(hashlib.sha256(weights).hexdigest(), class_names)
    LocalStorage(folder).write(f"{entry.id}.safetensors", weights, beside=".")
    add_model(
        folder / CATALOG, entry, {layer.path: str(layer) for layer in describe_path(entry)}, replace=True
    )
    return entry


def _predictions(training: Training, images: Images) -> dict[str, Any]:
    """Return the rows of `training_predictions`: what the network says of the test set."""
    found: Predictions = training.predictions(training.division.test)
    labels = images.labels[found.positions]
    point = training.arm.point
    return {
        "image_id": images.image_ids[found.positions],
        "label": labels,
        "class_name": [images.class_names[label] for label in labels],
        "predicted_label": found.predicted,
        "nearest_label": found.nearest if point == "class" else None,
        "theta_rad": np.arctan2(found.points[:, 1], found.points[:, 0]) if point != "nothing" else None,
    }


def _row(training: Training, entry: ModelEntry | None, answered: int | None) -> dict[str, list[Any]]:
    run, division = training.run, training.division
    angles = run.angles(len(training.images.class_names)).tolist()
    row = {
        "model": entry.id if entry else None,
        "weights_sha256": entry.sha256 if entry else None,
        "is_tested": entry is not None,
        "site": run.recipe.site,
        "angles": run.recipe.angles,
        "planned_angles_rad": None if training.arm.point == "nothing" else angles,
        "class_names": list(training.images.class_names),
        "recipe": json.dumps(asdict(run.recipe), sort_keys=True),
        "epochs": run.recipe.epochs,
        "parameters": sum(parameter.numel() for parameter in training.parameters),
        "images_train": len(division.train),
        "images_validation": len(division.validation),
        "images_test": answered,
        "precision": run.recipe.precision,
        "device": training.device,
        "seconds": sum(float(row["seconds"] or 0) for row in training.rows),
        "u1sweep_version": version("u1sweep"),
        "torch_version": torch.__version__,
        "committed_at": datetime.now(UTC),
    }
    return {name: [value] for name, value in row.items()}
