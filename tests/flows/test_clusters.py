"""Dask for real: processes that compute, that hold a GPU, and that are killed."""

import itertools
import multiprocessing
import os
import signal
import threading
import time
from multiprocessing import forkserver
from pathlib import Path

import dask
import pyarrow.parquet as pq
import pytest
from distributed.utils import get_mp_context

from flows import clusters, runners
from flows.options import Where
from flows.runners import workplace
from tasks import events, steps
from tasks.jobs import Job, Places
from u1core.catalog.catalog import load_catalog
from u1core.cells.cell import Cell
from u1core.cells.parts import state_name
from u1core.common.errors import U1Error
from u1core.common.runtime import Runtime
from u1core.images.cache import open_images
from u1core.lake.store import Lake

pytestmark = [
    pytest.mark.slow,
    # What Dask's processes leave behind when they are stopped or killed is theirs.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

SMALL_PARTS = "from u1core.cells import extract; extract.PART_IMAGES = 30"


IMPORTS = ("distributed", "torchvision", "torch._dynamo", "tasks.steps", "u1core.networks.build")


@pytest.fixture(scope="module", autouse=True)
def _quick_workers():
    """Workers of this process are forks of one that has their imports behind it: five seconds each."""
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        get_mp_context()  # which would set other imports later
        multiprocessing.set_forkserver_preload(list(IMPORTS))
        forkserver.ensure_running()
        yield
    forkserver._forkserver._stop()


@pytest.fixture
def job(tmp_path):
    """A real cell of four parts: a network with random weights over 2 x 60 digits."""
    catalog = load_catalog()
    model, dataset = catalog.models["cifar10_resnet20"], catalog.datasets["digits"]
    fingerprint = open_images(dataset, tmp_path / "cache").fingerprint
    cell = Cell(model, dataset, fingerprint, "random-init", limit=60, location_limit=20)
    Lake.open(tmp_path / "lake", create=True)
    return Job(cell, Places(tmp_path / "lake", tmp_path / "cache"), Runtime(batch_size=1))


def parts(job, table="vectors"):
    """Return when each file of a table was written, by path."""
    return {p: p.stat().st_mtime_ns for p in (Path(job.places.lake) / table).rglob("*.parquet")}


def test_a_killed_worker_costs_only_the_part_in_flight(job):
    options = {"n_workers": 2, "preload": SMALL_PARTS}
    moved = []
    with (
        events.listening(moved.append),
        workplace(Where("dask", cluster_options=options), "cpu") as place,
    ):
        computing = threading.Thread(target=place.compute, args=(job,))
        computing.start()
        before = wait_for_part(job, 1)
        os.kill(worker_at_work(place), signal.SIGKILL)
        computing.join()
    assert Lake.open(job.places.lake).cells()[job.cell.key]["rows"] == 120
    after = parts(job)
    assert len(after) == 4 * 4  # layers x parts
    assert {path: after[path] for path in before} == before
    rows = [pq.ParquetFile(path).metadata.num_rows for path in parts(job, "records")]
    assert rows == [30] * 16
    # The workers' progress came over the scheduler.
    assert {event.step for event in moved} >= {"extract", "fit frames", "search memory"}
    assert max(event.done for event in moved if event.step == "extract") == 120


def wait_for_part(job, number):
    """Wait for the mark of a part; return the files of all marked parts with their times."""
    state = Path(job.places.lake) / ".work" / job.cell.key / state_name(number)
    end = time.monotonic() + 300
    while not state.exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    return {path: t for path, t in parts(job).items() if int(path.stem[-5:]) <= number}


def worker_at_work(place):
    """Return the process of the worker that computes."""
    client = place._client
    busy = [address for address, tasks in client.processing().items() if tasks]
    return client.run(os.getpid, workers=busy[:1])[busy[0]]


def test_a_cell_that_kills_its_workers_fails_and_says_so(job, monkeypatch):
    def poison(job):
        import os

        os._exit(1)

    monkeypatch.setattr(steps, "extract_images", poison)
    with (
        workplace(Where("dask", cluster_options={"n_workers": 2}), "cpu") as place,
        pytest.raises(U1Error, match="workers that survive cifar10_resnet20"),
    ):
        place.compute(job)


def test_a_deadly_cell_takes_no_other_with_it(monkeypatch, tmp_path):
    """Dask holds a worker's death against every cell it was given; those that did nothing must not fail."""
    done = tmp_path / "done"
    done.mkdir()

    class Cell:
        def __init__(self, name):
            self.name = name

        def on(self, device):
            return self

    def extract(job):
        import os
        import time

        time.sleep(0.2)
        if job.name == "deadly":
            os._exit(1)
        return "cpu"

    monkeypatch.setattr(steps, "extract_images", extract)
    monkeypatch.setattr(steps, "finish", lambda job: (done / job.name).touch())
    errors = {}

    def compute(job):
        try:
            place.compute(job)
        except U1Error as e:
            errors[job.name] = e

    with workplace(Where("dask", cluster_options={"n_workers": 2}), "cpu") as place:
        names = ["deadly", *(f"cell {i}" for i in range(12))]
        threads = [threading.Thread(target=compute, args=(Cell(name),)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert set(errors) == {"deadly"}
    assert {path.name for path in done.iterdir()} == set(names) - {"deadly"}


def test_gpu_workers_see_their_own_gpu_and_hold_it_alone(monkeypatch):
    """Without a GPU: the processes that would hold one report their environment and their resource."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4, GPU-5c0f")
    with clusters.gpu_cluster() as cluster, cluster.get_client() as client:
        client.wait_for_workers(2, timeout=120)
        workers = client.scheduler_info(n_workers=-1)["workers"]
        assert [worker["resources"] for worker in workers.values()] == [{"GPU": 1.0}] * 2
        seen = client.run(os.getenv, "CUDA_VISIBLE_DEVICES")
        assert sorted(seen.values()) == ["4", "GPU-5c0f"]
        assert len(set(client.run(os.getpid).values())) == 2
        assert runners._resources(client, "cuda") == {"GPU": 1}
        assert runners._resources(client, "auto") == {"GPU": 1}
        held = client.map(hold, range(4), resources={"GPU": 1}, pure=False)
        assert_never_two_at_once(client.gather(held))
    with pytest.raises(U1Error, match="a GPU on this machine"):
        clusters.gpu_cluster([])


def hold(number):
    begin = time.time()
    time.sleep(0.3)
    return os.environ["CUDA_VISIBLE_DEVICES"], begin, time.time()


def assert_never_two_at_once(intervals):
    assert {gpu for gpu, _, _ in intervals} == {"4", "GPU-5c0f"}
    for gpu in ("4", "GPU-5c0f"):
        mine = sorted(interval[1:] for interval in intervals if interval[0] == gpu)
        assert all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(mine))


def test_extractions_take_the_gpu_and_finishing_does_not(job, monkeypatch, tmp_path):
    log = tmp_path / "log"
    log.mkdir()

    def step(kind):
        def run(job):
            import os
            import time
            from pathlib import Path

            begin = time.time()
            time.sleep(0.5)
            entry = f"{kind} {os.environ['CUDA_VISIBLE_DEVICES']} {begin} {time.time()}"
            Path(log, f"{kind}-{begin}").write_text(entry)
            return "cpu"

        return run

    monkeypatch.setattr(steps, "extract_images", step("extract"))
    monkeypatch.setattr(steps, "finish", step("finish"))
    where = Where("dask", cluster="flows.clusters:gpu_cluster", cluster_options={"gpus": ["7"]})
    with workplace(where, "cuda") as place:
        place._client.wait_for_workers(1, timeout=120)
        threads = [threading.Thread(target=place.compute, args=(job,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    entries = [path.read_text().split() for path in log.iterdir()]
    assert {gpu for _, gpu, _, _ in entries} == {"7"}
    spans = {
        kind: sorted((float(b), float(e)) for k, _, b, e in entries if k == kind)
        for kind in ("extract", "finish")
    }
    extractions = spans["extract"]
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(extractions))
    assert any(f[0] < e[1] and e[0] < f[1] for f in spans["finish"] for e in extractions)


def test_workers_without_a_gpu_are_refused_where_one_is_asked_for():
    options = {"n_workers": 1}
    where = Where("dask", cluster="flows.clusters:local_cluster", cluster_options=options)
    with pytest.raises(U1Error, match="workers with the resource GPU"), workplace(where, "cuda"):
        pass


def test_a_cluster_class_named_in_the_catalog_file(u1_apart, ask, tmp_path):
    """The command line starts the class that the configuration names, with the options given there."""
    (tmp_path / "site_cluster.py").write_text(
        "from distributed import LocalCluster\n"
        "class Cluster(LocalCluster):\n"
        "    def __init__(self, queue, **options):\n"
        "        open('started', 'a').write(f'{queue} {options}')\n"
        "        super().__init__(dashboard_address='127.0.0.1:0', threads_per_worker=1, **options)\n"
    )
    (tmp_path / "catalog.toml").write_text(
        '[cluster]\nclass = "site_cluster:Cluster"\nqueue = "gpu"\nn_workers = 3\n'
    )
    root = Path(__file__).parents[2]
    done = u1_apart(
        *("sweep", "--models", "pixels", "--datasets", "digits", "--limit", 40, "--runner", "dask"),
        *("--cluster-option", "n_workers=1"),
        PYTHONPATH=f"{root}{os.pathsep}{tmp_path}",
    )
    assert done.returncode == 0, done.stderr
    assert "1 cells computed" in done.stdout
    assert (tmp_path / "started").read_text() == "gpu {'n_workers': 1}"
    assert ask("select count(*) from records") == [["80"]]
