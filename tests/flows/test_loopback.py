"""What a sweep listens on: only this machine reaches it, unless told otherwise."""

import subprocess
import sys
import time

import psutil
import pytest

pytestmark = pytest.mark.slow

U1 = [sys.executable, "-c", "from flows.cli import main; main()"]
SWEEP = [
    "sweep",
    "--models",
    "efficientnet_lite0",
    "--datasets",
    "digits",
    "--limit",
    "200",
    "--runner",
    "dask",
]


def listening(process):
    """Return (pid, address) of every socket that a process and its children listen on."""
    found = set()
    for one in [process, *process.children(recursive=True)]:
        try:
            sockets = one.net_connections(kind="inet")
        except psutil.NoSuchProcess:
            continue
        found |= {(one.pid, s.laddr.ip) for s in sockets if s.status == psutil.CONN_LISTEN}
    return found


def test_the_embedded_server_and_the_local_cluster_listen_on_loopback_only(environment, tmp_path):
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([*U1, *SWEEP], cwd=tmp_path, env=environment, start_new_session=True, **quiet)
    try:
        seen, end = set(), time.monotonic() + 300
        while not any((tmp_path / "lake" / "records").rglob("*.parquet")):
            assert process.poll() is None
            assert time.monotonic() < end
            seen |= listening(psutil.Process(process.pid))
            time.sleep(0.2)
    finally:
        process.kill()
        process.wait()
    # The scheduler in the sweep itself, the Prefect server, one worker at least.
    assert len({pid for pid, _ in seen}) >= 3
    assert {address for _, address in seen} <= {"127.0.0.1", "::1"}
