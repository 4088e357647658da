"""Where cells are computed: one extraction at a time per device; events; wrong ways to say it."""

import dataclasses
import io
import itertools
import threading
import time

import dask
import pytest
from distributed.core import error_message
from distributed.protocol import pickle
from rich.console import Console

from flows import clusters, runners
from flows.cli.arguments import parse_pairs
from flows.cli.board import Board
from flows.options import Options, Where
from tasks import cells, events, steps, workplace
from tasks.events import Announced, Ended, Moved
from tasks.workplace import Here
from u1core.common.errors import U1Error


@dataclasses.dataclass(frozen=True)
class Job:
    name: str
    device: str = ""

    def on(self, device):
        return Job(self.name, device)


@pytest.fixture
def log(monkeypatch):
    """Replace the steps by ones that take a moment and note (step, job, device, begin, end)."""
    log, lock = [], threading.Lock()

    def step(kind):
        def run(job):
            begin = time.monotonic()
            time.sleep(0.05)
            with lock:
                log.append((kind, job.name, job.device, begin, time.monotonic()))
            return job.device

        return run

    monkeypatch.setattr(steps, "extract_images", step("extract"))
    monkeypatch.setattr(steps, "finish", step("finish"))
    return log


def compute(place, n):
    threads = [threading.Thread(target=place.compute, args=(Job(f"cell {i}"),)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def overlaps(intervals):
    ordered = sorted(intervals)
    return sum(later[0] < earlier[1] for earlier, later in itertools.pairwise(ordered))


def test_each_gpu_has_one_extraction_at_a_time_and_all_are_used(log):
    compute(Here(["cuda:0", "cuda:1"]), 8)
    for device in ("cuda:0", "cuda:1"):
        extractions = [entry[3:] for entry in log if entry[0] == "extract" and entry[2] == device]
        assert len(extractions) >= 2
        assert overlaps(extractions) == 0
    # A cell is finished on the device that extracted it, while the next one is extracted.
    devices = {name: device for kind, name, device, *_ in log if kind == "extract"}
    assert all(devices[name] == device for kind, name, device, *_ in log if kind == "finish")
    assert overlaps([entry[3:] for entry in log if entry[2] == "cuda:0"]) > 0


def test_a_cpu_has_one_cell_at_a_time(log):
    compute(Here(["cpu"]), 3)
    assert overlaps([entry[3:] for entry in log]) == 0


def test_a_failed_extraction_gives_its_device_back(log, monkeypatch):
    place, good = Here(["cpu"]), steps.extract_images

    def fail(job):
        raise ValueError

    monkeypatch.setattr(steps, "extract_images", fail)
    with pytest.raises(ValueError):
        place.compute(Job("a"))
    monkeypatch.setattr(steps, "extract_images", good)
    compute(place, 1)
    assert len(log) == 2


def test_cuda_stands_for_every_gpu_of_the_machine(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    assert runners.devices_of("cuda") == ["cuda:0", "cuda:1", "cuda:2"]
    assert runners.devices_of("cuda:1") == ["cuda:1"]
    assert runners.devices_of("cpu") == ["cpu"]
    assert runners.cells_at_once(Where(), "cuda") == 6
    assert runners.cells_at_once(Where(), "cpu") == 1


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"runner": "slurm"}, "--runner to be local or dask"),
        ({"dask_address": "tcp://a:1"}, "--dask-address to go with --runner dask"),
        ({"cluster": "a:B"}, "--cluster to go with --runner dask"),
        ({"runner": "dask", "dask_address": "tcp://a:1", "cluster": "a:B"}, "leave one of them out"),
        ({"cell_timeout": 5.0}, "--cell-timeout to go with --runner dask"),
        ({"runner": "dask", "cell_timeout": 0.0}, "--cell-timeout above 0 minutes"),
    ],
)
def test_what_contradicts_itself_is_refused(where, message):
    with pytest.raises(U1Error, match=message):
        Where(**where)


@pytest.mark.parametrize(
    "name", ["nowhere:Cluster", "distributed:NoCluster", "distributed", "distributed:__doc__"]
)
def test_a_cluster_that_is_not_there_is_refused(name):
    with pytest.raises(U1Error, match="--cluster to name"):
        clusters.named_cluster(name, {})


def test_options_that_a_cluster_does_not_take_are_one_line():
    with pytest.raises(U1Error, match="queue"):
        clusters.named_cluster("flows.clusters:gpu_cluster", {"queue": "gpu", "gpus": ["0"]})


def test_the_cluster_of_the_catalog_file_and_of_the_command_line(tmp_path):
    catalog = tmp_path / "catalog.toml"
    catalog.write_text('[cluster]\nclass = "dask_jobqueue:SLURMCluster"\nqueue = "gpu"\ncores = 8\n')

    def asked(pairs=(), **options):
        typed = parse_pairs(pairs, "--cluster-option")
        return clusters.with_own_cluster(Options(catalog=catalog, cluster_options=typed, **options))

    said = asked(["cores=4", "memory=8GB"], runner="dask")
    assert said.cluster == "dask_jobqueue:SLURMCluster"
    assert said.cluster_options == {"queue": "gpu", "cores": 4, "memory": "8GB"}
    said = asked(runner="dask", cluster="mine:Cluster")
    assert (said.cluster, said.cluster_options) == ("mine:Cluster", {"queue": "gpu", "cores": 8})
    for other in ({"runner": "local"}, {"runner": "dask", "dask_address": "tcp://127.0.0.1:1"}):
        assert asked(**other).cluster is None
    with pytest.raises(U1Error, match="--cluster-option to be name=value"):
        asked(["cores"], runner="dask")
    catalog.write_text("cluster = 3\n")
    with pytest.raises(U1Error, match=r"a table \[cluster\]"):
        asked(runner="dask")


def test_a_step_that_fails_is_named():
    from flows.sweep import one_line

    job = dataclasses.make_dataclass("Bad", ["name", "runtime"])("cell", None)
    with pytest.raises(AttributeError) as e:
        steps.extract_images(job)
    assert one_line(e.value).startswith("AttributeError, extract: ")


def test_progress_is_told_at_most_twice_a_second_and_at_the_end():
    heard = []
    with events.listening(heard.append):
        tell = events.Teller("cell", "extract")
        for done in range(1, 101):
            tell(done, 100)
    assert [event.done for event in heard] == [1, 100]
    tell(100, 100)
    assert len(heard) == 2


def test_the_board_follows_the_events():
    screen = io.StringIO()
    board = Board(Console(file=screen, force_terminal=True, width=200))

    def bars():
        return {task.description: (task.completed, task.total) for task in board.progress.tasks}

    board(Moved("digits", "decode", 5, 10))
    assert bars()["  digits: decode"] == (5, 10)
    board(Announced({"a": 100, "b": 50}))
    assert bars() == {"[bold]sweep[/]": (0, 150)}
    board(Moved("a", "extract", 40, 100, {"decode": 1.0, "forward": 3.0}))
    board(Moved("b", "extract", 10, 50))
    assert bars()["[bold]sweep[/]"] == (50, 150)
    assert bars()["  a: extract (decode 25 %, forward 75 %)"] == (40, 100)
    board(Moved("a", "fit frames", 100, 100))
    board(Ended("a", "done"))
    board(Ended("b", "failed"))
    assert bars() == {"[bold]sweep[/]": (150, 150)}
    assert "done: a, 100 images" in screen.getvalue()
    assert "failed: b, 50 images" in screen.getvalue()


def without_end(job):
    return without_end(job)


def refused_without_end(job):
    try:
        without_end(job)
    except RecursionError as e:
        raise U1Error("code that ends", "RecursionError", "correct it") from e


def as_dask_sends_it(step, *arguments):
    """Return the error of a step as it arrives from a worker."""
    try:
        step(*arguments)
    except Exception as e:
        return pickle.loads(error_message(e)["exception"].data)


@pytest.mark.parametrize(("step", "type_"), [(without_end, RecursionError), (refused_without_end, U1Error)])
def test_the_error_of_code_that_calls_itself_without_end_arrives_and_is_not_tried_again(step, type_):
    assert type(as_dask_sends_it(step, Job("a"))) is Exception  # too deep: Dask sends its text
    arrived = as_dask_sends_it(workplace._sent, step, Job("a"))
    assert type(arrived) is type_ and arrived.__cause__ is None

    class Ended:
        def result(self):
            raise arrived

    assert not cells.worth_retrying(None, None, Ended())


def test_a_worker_is_never_paused_for_good(monkeypatch):
    """Memory that torch keeps is not given back: a paused worker would get no cell any more, and all wait."""
    seen = []

    def start(name, options):
        seen.append([dask.config.get(f"distributed.worker.memory.{what}") for what in ("pause", "terminate")])
        raise U1Error("a cluster", name, "start one")

    monkeypatch.setattr(runners, "named_cluster", start)
    with pytest.raises(U1Error), runners.workplace(Where("dask", cluster="mine"), "cpu"):
        pass
    assert seen == [[False, 0.95]]
