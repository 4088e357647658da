"""What a sweep listens on: only this machine reaches it, unless told otherwise."""

import subprocess

import psutil
import pytest
from command import wait_until
from test_signals import SWEEP, U1, is_alive

pytestmark = pytest.mark.slow


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


def test_the_embedded_server_and_the_local_cluster_listen_on_loopback_only(warm, environment, tmp_path):
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    where = {"cwd": tmp_path, "env": environment}
    process = warm.start(U1, [*SWEEP, "--runner", "dask"], start_new_session=True, **where, **quiet)
    seen = set()

    def has_records():
        assert process.poll() is None
        seen.update(listening(psutil.Process(process.pid)))
        return any((tmp_path / "lake" / "records").rglob("*.parquet"))

    try:
        wait_until(has_records)
    finally:
        process.kill()
        process.wait()
    wait_until(lambda: not is_alive(process.pid))
    # The scheduler in the sweep itself, the Prefect server, one worker at least.
    assert len({pid for pid, _ in seen}) >= 3
    assert {address for _, address in seen} <= {"127.0.0.1", "::1"}
