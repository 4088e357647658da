"""The training loop: epochs of one run, each of which may be the last before a crash.

After every epoch network, head, optimiser and the rows so far are saved as one file of the run's unfinished
state in the lake, and the rows are written to `training_epochs`. Whatever is drawn in an epoch comes from
generators seeded by the run's seed and the epoch's number, so a run that was interrupted ends with the same
weights.
Shapes: B images, S x S pixels with C colours, N channels at the bottleneck, K classes.
"""

from __future__ import annotations

import copy
import io
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional

from u1core.common.ahead import read_ahead
from u1core.common.clock import Clock
from u1core.common.errors import U1Error, reason_of
from u1core.common.heap import kept_heap
from u1core.common.runtime import arithmetic, training_arithmetic
from u1core.images.cache import Images
from u1core.images.pixel_source import PixelBatch, PixelSource
from u1core.images.resize import resize
from u1core.lake.store import Lake
from u1core.networks.outputs import class_of
from u1core.networks.preprocess import preprocessing_of, preprocessor
from u1core.networks.proof import prove_layers
from u1core.networks.resolve import describe_path
from u1core.networks.sources import registry
from u1core.networks.taps import Taps
from u1core.training.arms import planned_points
from u1core.training.augment import shift_and_mirror
from u1core.training.objective import PlaneHead, nearest_angle, point_loss
from u1core.training.run import Division, Run

CHECKPOINT = "checkpoint.pt"
FORMER_CHECKPOINT = "checkpoint.safetensors"
"""What lakes of before hold of a run: tensors by name, the momentum of SGD among them."""

EpochRow = dict[str, float | int | None]
EpochProgress = Callable[[list[EpochRow], int, int], None]
"""Called with the rows so far, images seen and images in all."""


class Predictions(NamedTuple):
    """What a network says of some images."""

    positions: npt.NDArray[np.int64]  # (n,)
    predicted: npt.NDArray[np.int64]  # (n,)
    nearest: npt.NDArray[np.int64]  # (n,) by planned angle
    points: npt.NDArray[np.float64]  # (n, 2)


class Training:
    """One run: its network, its optimiser and the epochs that are done.

    Args:
        run: What to train.
        images: The task's.
        source: Its pixels, entered.
        device: A torch device.

    Attributes:
        rows: One per epoch done, as columns of `training_epochs`.
    """

    def __init__(self, run: Run, images: Images, source: PixelSource, device: str) -> None:
        self.run, self.images, self.source, self.device = run, images, source, device
        self.recipe, self.arm = run.recipe, run.of_arm
        self.division = Division.of(images, run.recipe)
        self.rows: list[EpochRow] = []
        self._build()
        angles = run.angles(len(images.class_names))
        self.of_classes = self._points(np.stack([np.cos(angles), np.sin(angles)], axis=1))  # (K, 2)
        self.targets = self._points(planned_points(self.arm, angles, images.labels, run.seed))  # (n, 2)
        self.labels = torch.from_numpy(images.labels).to(device)  # (n,)
        self._scale = preprocessor(run.network, is_prepared=True)

    def _build(self) -> None:
        """Build network, head and optimiser; the head draws from a generator of its own."""
        run, recipe = self.run, self.recipe
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(run.seed)
            network = registry.build(run.network.architecture, classes=len(self.images.class_names))
            channels = {layer.path: layer.channels for layer in describe_path(run.network)}
            self.head = PlaneHead(channels[run.network.bottleneck], recipe.site, run.seed).to(self.device)
        self.network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.taps = Taps(self.network, [run.network.bottleneck], head="")
        self.parameters = [
            *self.network.parameters(),
            *(self.head.parameters() if self._learns_points else ()),
        ]
        self.optimiser = torch.optim.SGD(
            self.parameters,
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=recipe.momentum > 0,
        )

    @property
    def _learns_points(self) -> bool:
        return self.arm.point != "nothing"

    def _points(self, points: npt.NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(points.astype(np.float32)).to(self.device)

    def check(self) -> None:
        """Prove a copy of the network in evaluation mode, and its logits while it trains.

        Of the heads that GoogLeNet and Inception train with the main one alone has a loss: the auxiliary ones
        would bring one-hot labels into arms that shall have none.

        Raises:
            U1Error: It is not fit to be trained on the task; one line says why.
        """
        layers = describe_path(self.run.network)
        shapes = {x.path: (x.channels, x.height, x.width) for x in layers if x.path in self.taps.layers}
        size, classes = preprocessing_of(self.run.network).size, len(self.images.class_names)
        architecture = self.run.network.architecture
        tried = copy.deepcopy(self.network)
        found = {"evaluation": prove_layers(tried.eval(), shapes, size, "", of=architecture)}
        try:
            with torch.random.fork_rng(devices=self._gpus), torch.no_grad():
                pictures = torch.zeros(2, 3, size, size, device=self.device)
                found["training"] = Taps(tried.train(), (), head="")(pictures)["head"].shape[1]
        except RuntimeError as error:
            todo = "take another size or network"
            wanted = f"{architecture} to train on pictures 3 x {size} x {size}"
            raise U1Error(wanted, reason_of(error), todo) from error
        for mode, count in found.items():
            if count != classes:
                wanted = f"{classes} logits of {architecture} in {mode} for the task {self.run.task.id}"
                raise U1Error(wanted, str(count), "take a network whose head can be given classes")

    @property
    def _gpus(self) -> list[str]:
        return [self.device] if torch.device(self.device).type == "cuda" else []

    # -- epochs -----------------------------------------------------------------------------------

    @property
    def steps(self) -> int:
        """Steps of an epoch; images that do not fill the last batch wait for another epoch's order."""
        return max(1, len(self.division.train) // self.recipe.batch_size)

    def epoch(self, progress: Callable[[int], None]) -> None:
        """Train for one epoch and append its row; `progress` is called with images seen in it.

        Raises:
            U1Error: The loss is no longer finite.
        """
        number, begun = len(self.rows), time.monotonic()
        sums = torch.zeros(3, device=self.device)  # one-hot loss, loss on points, right answers
        seen = 0
        self.network.train()
        self.head.train()
        with _drawing(self.run.seed, number, self.device) as draw:
            order = np.random.default_rng([self.run.seed, 3, number]).permutation(self.division.train)
            size = min(self.recipe.batch_size, len(order))
            wanted = [np.sort(order[i * size : (i + 1) * size]) for i in range(self.steps)]
            for step, batch in enumerate(self._batches(wanted)):
                if len(batch.positions) < 2:  # pictures that can't be read; batch norm needs two
                    continue
                share = (number + step / self.steps) / self.recipe.epochs
                pictures = shift_and_mirror(self._prepared(batch), draw, mirror=self.recipe.mirror)
                sums += self._step(pictures, torch.from_numpy(batch.positions), share)
                seen += len(batch.positions)
                progress(seen)
        onehot, point, right = (sums / max(seen, 1)).tolist()
        trained = time.monotonic()
        if not math.isfinite(onehot + point):
            todo = "lower --learning-rate, or train in float32"
            raise U1Error(f"a finite loss in epoch {number + 1} of {self.run}", f"{onehot + point}", todo)
        validation = self.accuracy(self.division.validation)
        self.rows.append(
            {
                "epoch": number + 1,
                "learning_rate": self.recipe.learning_rate_at((number + 1) / self.recipe.epochs),
                "loss_onehot": onehot if self.arm.has_onehot else None,
                "loss_point": point if self._learns_points else None,
                "train_accuracy": right,
                "validation_accuracy": validation,
                "seconds": time.monotonic() - begun,
                "images_per_second": seen / (trained - begun),
            }
        )

    def _step(self, pictures: Tensor, positions: Tensor, share: float) -> Tensor:
        """Take one step of the optimiser; return sums over the batch as `epoch` keeps them, (3,).

        Args:
            pictures: (B, S, S, C) uint8.
            positions: Of the images, (B,).
            share: Of the run's steps that are done.
        """
        labels, targets = self.labels[positions], self.targets[positions]
        with training_arithmetic(self.device, self.recipe.precision):
            outputs = self.taps(self._scale(pictures))
            points = self.head(outputs[self.run.network.bottleneck])
        logits = outputs["head"].float()
        loss, onehot, point = logits.new_zeros(()), logits.new_zeros(()), logits.new_zeros(())
        if self.arm.has_onehot:
            loss = onehot = functional.cross_entropy(logits, labels, label_smoothing=self.arm.smoothing)
        if self._learns_points:
            point = point_loss(self.arm, points.float(), targets).mean()
            loss = loss + self._weight(share) * point
        self.optimiser.param_groups[0]["lr"] = self.recipe.learning_rate_at(share)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        with torch.no_grad():
            right = (self._predict(logits, points) == labels).sum()
            return torch.stack([len(labels) * onehot.detach(), len(labels) * point.detach(), right])

    def _weight(self, share: float) -> float:
        return self.recipe.weight_at(self.run.weight, share) if self.arm.has_onehot else 1.0

    def _predict(self, logits: Tensor, points: Tensor) -> Tensor:
        return class_of(logits) if self.arm.has_onehot else nearest_angle(points, self.of_classes)

    # -- pixels -----------------------------------------------------------------------------------

    def _batches(self, wanted: list[npt.NDArray[np.int64]]) -> Iterator[PixelBatch]:
        """Yield a batch for each array of positions; beside a GPU a thread reads ahead."""
        batches = iter(self.source.batches(wanted))
        if torch.device(self.device).type == "cpu":
            yield from batches
            return
        with closing(read_ahead(batches, Clock())) as ahead:
            yield from ahead

    def decode(self) -> None:
        """Go through large pictures once, in the order of their files, so that a random order meets pixels.

        What is decoded stays in the pixel cache while its budget lasts.
        """
        if self.images.pixels is None:
            positions = np.sort(np.concatenate(self.division))
            chunks = np.array_split(positions, range(1024, len(positions), 1024))
            for _ in self.source.batches(chunks):
                pass

    def _prepared(self, batch: PixelBatch) -> Tensor:
        """Return the pictures of a batch as the network's size asks for, (B, S, S, C) uint8."""
        pictures = torch.from_numpy(batch.pixels).to(self.device)
        return pictures if self.source.is_prepared else resize(pictures, preprocessing_of(self.run.network))

    # -- answers ----------------------------------------------------------------------------------

    def predictions(self, positions: npt.NDArray[np.int64]) -> Predictions:
        """Ask the network about images, without augmentation."""
        size = 4 * self.recipe.batch_size
        wanted = [positions[i : i + size] for i in range(0, len(positions), size)]
        found = [self._predictions_of(batch) for batch in self._batches(wanted) if len(batch.positions)]
        return Predictions(*(np.concatenate(column) for column in zip(*found, strict=True)))

    def _predictions_of(self, batch: PixelBatch) -> Predictions:
        self.network.eval()
        self.head.eval()
        with arithmetic(self.device, self.recipe.precision):
            outputs = self.taps(self._scale(self._prepared(batch)))
            points = self.head(outputs[self.run.network.bottleneck]).float()
            predicted = self._predict(outputs["head"].float(), points)
            nearest = nearest_angle(points, self.of_classes)
        if bool((predicted < 0).any()):
            todo = "lower --learning-rate, or train in float32"
            raise U1Error(f"finite answers of {self.run}", "others", todo)
        return Predictions(
            batch.positions, predicted.cpu().numpy(), nearest.cpu().numpy(), points.cpu().double().numpy()
        )

    def accuracy(self, positions: npt.NDArray[np.int64]) -> float | None:
        """Return the share of images that are classified as labelled; None where there are none."""
        if not len(positions):
            return None
        found = self.predictions(positions)
        return float((found.predicted == self.images.labels[found.positions]).mean())

    # -- state ------------------------------------------------------------------------------------

    def save(self, lake: Lake) -> None:
        """Save everything that the next epoch needs as one file of the lake."""
        content = io.BytesIO()
        stateful = {name: part.state_dict() for name, part in self._stateful.items()}
        torch.save({"rows": self.rows, **stateful}, content)
        lake.save_state(self.run.id, CHECKPOINT, content.getvalue())

    def restore(self, lake: Lake) -> bool:
        """Go on from what the lake holds of the run; tell whether it holds anything."""
        try:
            state = self._saved(lake)
        except Exception as error:  # of torch, pickle, zip and safetensors, each in its own words
            todo = f"delete {lake.work(self.run.id)}: the run begins anew"
            raise U1Error(f"a readable state of the run {self.run.id.key}", "a damaged one", todo) from error
        if state is None:
            return False
        self.rows = state["rows"]
        for name, part in self._stateful.items():
            part.load_state_dict(state[name])
        return True

    def _saved(self, lake: Lake) -> dict[str, Any] | None:
        """Return the state in the lake; None where there is none."""
        if content := lake.load_state(self.run.id, CHECKPOINT):
            saved: dict[str, Any] = torch.load(
                io.BytesIO(content), map_location=self.device, weights_only=True
            )
            return saved
        former = lake.load_state(self.run.id, FORMER_CHECKPOINT)
        return None if former is None else self._former(safetensors.torch.load(former))

    @property
    def _stateful(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        return {"network": self.network, "head": self.head, "optimiser": self.optimiser}

    def _former(self, tensors: dict[str, Tensor]) -> dict[str, Any]:
        """Return the state that a file of before holds: momentum by number of the parameter, rows as JSON."""
        momenta = {
            int(index): {"momentum_buffer": torch.empty_like(self.parameters[int(index)]).copy_(momentum)}
            for index, momentum in _below(tensors, "momentum.").items()
        }
        return {
            "rows": json.loads(bytes(tensors["rows"].numpy())),
            "network": _below(tensors, "network."),
            "head": _below(tensors, "head."),
            "optimiser": self.optimiser.state_dict() | {"state": momenta},
        }

    def weights(self) -> bytes:
        """Return the trained network's state dict as a safetensors file."""
        tensors = self.network.state_dict().items()
        return safetensors.torch.save({name: t.detach().cpu().contiguous() for name, t in tensors})


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


@contextmanager
def _drawing(seed: int, epoch: int, device: str) -> Iterator[torch.Generator]:
    """Yield the generator of an epoch's augmentation, with torch's own seeded for dropout meanwhile."""
    number = int(np.random.SeedSequence([seed, 4, epoch]).generate_state(1)[0])
    devices = [device] if torch.device(device).type == "cuda" else []
    found = torch.backends.cudnn.deterministic
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(number)
        torch.backends.cudnn.deterministic = True
        try:
            yield torch.Generator().manual_seed(number)
        finally:
            torch.backends.cudnn.deterministic = found


def train(run: Run, images: Images, lake: Lake, device: str, progress: EpochProgress | None = None) -> None:
    """Train a run to its last epoch, from wherever an earlier try was stopped.

    Args:
        run: What to train.
        images: The task's.
        lake: Keeps the state between epochs, and `training_epochs`.
        device: A torch device.
        progress: Told how far it is after every batch.

    Raises:
        U1Error: The network has no optical path or is not fit for the task, or the loss is no longer finite.
    """
    with kept_heap(), images.open_pixels(preprocessing_of(run.network)) as source:
        training = Training(run, images, source, device)
        if training.restore(lake):
            write_epochs(run, training.rows, lake)  # the state may be one epoch ahead of them
        if len(training.rows) < run.recipe.epochs:
            training.check()
            training.decode()
        per_epoch = len(training.division.train)
        for _ in range(len(training.rows), run.recipe.epochs):
            done = len(training.rows) * per_epoch

            def seen_in_epoch(seen: int, done: int = done) -> None:
                if progress:
                    progress(training.rows, done + seen, run.recipe.epochs * per_epoch)

            training.epoch(seen_in_epoch)
            training.save(lake)
            write_epochs(run, training.rows, lake)


def write_epochs(run: Run, rows: list[EpochRow], lake: Lake) -> None:
    """Write the epochs so far, one file per run."""
    lake.write("training_epochs", run.id, {name: [row[name] for row in rows] for name in rows[0]})
