"""Training: every task by every arm from every seed; choose the weight, test once, sweep what was trained.

    u1 train --tasks digits --batch-size 32

Six arms from five seeds on the digits take about seven minutes on two cores, their sweep included.
"""

# No postponed annotations here: Prefect reads the flow's parameters from them when it is deployed.
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.ask import ask
from flows.options import Options, TrainOptions
from flows.progress import publishing
from flows.request import Request
from flows.runners import devices_of, run_to_result
from flows.sweep import Ending, Result, compute_missing, conclude, decode, one_line, report_file, waiting
from tasks.events import Announced, tell
from tasks.jobs import Places
from tasks.training import RunJob, keep_run, train_run
from tasks.workplace import Devices
from u1core.catalog.catalog import Catalog, load_catalog
from u1core.catalog.entries import DatasetEntry, ModelEntry
from u1core.common.errors import U1Error
from u1core.common.runtime import Runtime, resolve_device
from u1core.images.cache import Images, default_cache, open_images
from u1core.lake.storage import resolve_address
from u1core.lake.store import Lake
from u1core.lake.views import analysis
from u1core.networks.resolve import Selection, resolve
from u1core.networks.sources import registry
from u1core.training import kept
from u1core.training.arms import ARMS, planned_angles
from u1core.training.augment import may_mirror
from u1core.training.run import Division, Recipe, Run, choose_precision


@dataclass(frozen=True)
class TrainRequest:
    """A training's options, and what they stand for in the catalog and on this machine."""

    options: TrainOptions
    tasks: tuple[DatasetEntry, ...]
    arms: tuple[str, ...]
    recipe: Recipe  # what all arms share; whether pictures are mirrored is left to the task
    places: Places
    device: str
    folder: Path

    @classmethod
    def of(cls, options: TrainOptions) -> Self:
        """Check every option before anything runs.

        Raises:
            U1Error: An option names something that does not exist.
        """
        catalog: Catalog = load_catalog(options.catalog)
        if len(options.weights) > 1 and not options.validation:
            todo = "raise --validation, or name one weight"
            raise U1Error("held-out images to choose a weight by", "--validation 0", todo)
        return cls(
            options,
            tasks=tuple(catalog.select_datasets(options.tasks)),
            arms=_arms(options.arms),
            recipe=_recipe(options),
            places=Places(resolve_address(options.lake), default_cache().resolve(), options.data_dir),
            device=resolve_device(options.device),
            folder=options.to.resolve(),
        )

    def of_trained(self, task: DatasetEntry, trained: Sequence[ModelEntry]) -> Request:
        """Return the sweep of trained networks over their task."""
        return Request(
            Options(limit=self.options.sweep_limit, location_limit=0),
            selection=Selection(tuple(trained), {}, {}),
            datasets=(task,),
            variants=("original",),
            places=self.places,
            runtime=Runtime(self.device, models_dir=self.folder),
        )


def _recipe(options: TrainOptions) -> Recipe:
    return Recipe(
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        precision=choose_precision(options.precision, options.device),
        limit=options.limit,
        validation=options.validation,
        angles=options.angles,
        site=options.site,
        schedule=options.weight_schedule,
    )


def _arms(names: str) -> tuple[str, ...]:
    chosen = tuple(ARMS) if names == "all" else tuple(filter(None, (n.strip() for n in names.split(","))))
    unknown = [name for name in chosen if name not in ARMS]
    if unknown or not chosen:
        raise U1Error(f"--arms from {', '.join(ARMS)}", repr(", ".join(unknown)), "name some, or all")
    return chosen


def train(options: TrainOptions) -> Result:
    """Train. A failed run is an ending, never an exception."""
    request = TrainRequest.of(options)
    report_file(options.report)
    Lake.open(request.places.lake, create=True)
    return run_to_result(run_training, options, threads=len(devices_of(request.device)))


@flow(name="u1-train", flow_run_name="train {options.arms} on {options.tasks}", persist_result=False)
def run_training(options: TrainOptions) -> State[Result]:
    """Train the missing runs, choose weights, test, sweep what was trained, judge the claims, report."""
    request = TrainRequest.of(options)
    lake = Lake.open(request.places.lake, create=True)
    with lake.alone(waiting):
        runs, endings = plan_runs(request)
        ends = train_missing(request, lake, runs)
        endings += ends.values()
        trained = keep_trained(request, lake, [run for run in runs if ends[run.key].status != "failed"])
        if options.sweep_limit:
            for task in request.tasks:
                if entries := trained.get(task.id):
                    endings += compute_missing(request.of_trained(task, entries), lake)
        report = report_file(options.report)
        result = conclude(request.places.lake, report, endings, counted="runs and cells")
    ended = Completed if result.complete else Failed
    return ended(message=result.summary, data=result)


def plan_runs(request: TrainRequest) -> tuple[list[Run], list[Ending]]:
    """Make the grid: task by task, seed by seed, all arms of a seed; tasks without images are lost."""
    options = request.options
    fingerprints, reasons = decode(request.tasks, request.places)
    runs = []
    for task in request.tasks:
        if task.id not in fingerprints:
            continue
        images = open_images(task, request.places.cache, request.places.data_dir)
        recipe = replace(request.recipe, mirror=may_mirror(task))
        Division.of(images, recipe)  # says at once if too few are left
        network = choose_network(options.network, options.size, images)
        measured = measured_angles(request, task, images) if recipe.angles == "measured" else ()
        runs += [
            Run(task, images.fingerprint, network, recipe, arm, weight, seed, measured)
            for seed in range(options.seeds)
            for arm in request.arms
            for weight in weights_of(arm, options.weights)
        ]
    return runs, [Ending(f"training on {task}", "failed", reason) for task, reason in reasons.items()]


def weights_of(arm: str, weights: Sequence[float]) -> Sequence[float]:
    """Return the weights that an arm is trained with: those asked for, where it has both losses."""
    if ARMS[arm].point == "nothing":
        return (0.0,)
    return weights if ARMS[arm].has_onehot else (1.0,)


def choose_network(named: str, size: int | None, images: Images) -> ModelEntry:
    """Resolve the network, without weights; 'auto' goes by the size of the pictures."""
    if named == "auto":
        side = 224 if images.pixels is None else max(images.pixels.shape[1:3])
        named = next(n for n, most in _NETWORKS.items() if side <= most)
    entry = ModelEntry("network", named, "none", "", None, (), "", None, "none")
    if size:
        numbers = registry.default_preprocessing(named)
        entry = replace(entry, preprocessing=numbers and replace(numbers, size=size))
    return resolve(entry)


_NETWORKS = {"small_cnn:64": 28, "cifar_resnet:20": 64, "torchvision:resnet18": 10**9}
"""Networks by the largest pictures, in pixels, that they are taken for."""


def measured_angles(request: TrainRequest, task: DatasetEntry, images: Images) -> tuple[float, ...]:
    """Ask the lake where the classes of a task lie in networks that were not trained here.

    Raises:
        U1Error: It does not know that of every class.
    """
    rows = ask(request.places.lake, analysis("measured_angles"), {"task": task.id}).to_pylist()
    angles = {row["label"]: row["angle_rad"] for row in rows if row["angle_rad"] is not None}
    classes = len(images.class_names)
    measured = np.array([angles.get(label, np.nan) for label in range(classes)])
    return tuple(planned_angles("measured", classes, 0, measured).tolist())


def train_missing(request: TrainRequest, lake: Lake, runs: Sequence[Run]) -> dict[str, Ending]:
    """Train what the lake does not hold; return how every run ended, by its key."""
    missing = [run for run in runs if not kept.is_trained(run, lake)]
    jobs = [RunJob(run, request.places) for run in missing]
    tell(Announced({job.name: images_of(job) for job in jobs}))
    devices = Devices(devices_of(request.device))
    with publishing():
        running = {job.run.key: train_run.submit(job, devices) for job in jobs}
        errors = {key: future.result(raise_on_failure=False) for key, future in running.items()}
    return {run.key: ended(run, errors) for run in runs}


def ended(run: Run, errors: Mapping[str, object]) -> Ending:
    """Say how a run ended: `errors` has what each run that was missing gave, None where it went well."""
    error = errors.get(run.key)
    if isinstance(error, BaseException):
        return Ending(str(run), "failed", one_line(error))
    return Ending(str(run), "computed" if run.key in errors else "found")


def images_of(job: RunJob) -> int:
    """Return how many images a run sees in all its epochs."""
    return job.run.recipe.epochs * len(Division.of(job.open_images(), job.run.recipe).train)


def keep_trained(request: TrainRequest, lake: Lake, runs: Sequence[Run]) -> dict[str, list[ModelEntry]]:
    """Test the runs whose weight validation chooses, once each; return the networks by the task's id."""
    best = best_weights(request)
    trained: dict[str, list[ModelEntry]] = {}
    for run in runs:
        is_chosen = (run.experiment, run.arm, run.weight) in best
        entry = kept.kept_entry(run, lake)
        if entry is None and (is_chosen or not kept.is_trained(run, lake)):
            job = RunJob(run, request.places)
            entry = keep_run(job, request.device, request.folder, is_tested=is_chosen)
        if entry is not None and is_chosen:
            trained.setdefault(run.task.id, []).append(entry)
    others = overtaken(request)
    for run in {run.experiment: run for run in runs if run.experiment in others}.values():
        kept.select(run, lake)
    return trained


def overtaken(request: TrainRequest) -> set[str]:
    """Return the experiments that are not the current ones of their task and network."""
    query = "select distinct experiment from training_runs where not is_current"
    return set(ask(request.places.lake, query)["experiment"].to_pylist())


def best_weights(request: TrainRequest) -> set[tuple[str, str, float]]:
    """Return the experiment, arm and weight of every choice that validation makes."""
    query = "select experiment, arm, u1_weight from training_weights where is_leading"
    rows = ask(request.places.lake, query).to_pylist()
    return {(row["experiment"], row["arm"], row["u1_weight"]) for row in rows}
