"""The Prefect server that hears of a run: the one that is configured, or one that this process has alone."""

from __future__ import annotations

import atexit
import functools
import os
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_HOME,
    PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS,
    get_current_settings,
    temporary_settings,
)

from u1core.common.errors import U1Error

_EMBEDDED = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
"""What Prefect sets for a server that is one process's own."""

_OPEN_FILES = 128
"""A server that may open no more connections lets those who ask wait for ever."""

_END_S = 10.0
_SAID_LINES = 50
_OWN = "start a server with `prefect server start` and set PREFECT_API_URL"


@contextmanager
def prefect_server() -> Iterator[str]:
    """Have one Prefect server for this process and its children, configured or embedded; give its address.

    Raises:
        U1Error: The configured one does not answer, or the embedded one does not start, and why.
    """
    if configured := PREFECT_API_URL.value():
        check_server(configured)
        yield configured
        return
    url = _start()
    os.environ["PREFECT_API_URL"] = url
    try:
        with temporary_settings({PREFECT_API_URL: url}):
            yield url
    finally:
        # The server stops when the process exits, after Prefect has sent it the last logs.
        del os.environ["PREFECT_API_URL"]


def check_server(url: str) -> None:
    """Raise U1Error unless the Prefect server at an address answers."""
    try:
        httpx.get(f"{url}/health", timeout=10).raise_for_status()
    except _NO_ANSWER as e:
        todo = "start it with `prefect server start`, or unset PREFECT_API_URL to use an embedded one"
        if proxies := proxies_of(url):
            todo = f"{', '.join(proxies)} lead there: add its host to NO_PROXY; or {todo}"
        raise U1Error("the Prefect server of PREFECT_API_URL to answer", f"{url} ({e})", todo) from e


_NO_ANSWER = (httpx.HTTPError, httpx.InvalidURL, ImportError, ValueError)
"""What comes of an address, or of a proxy, that leads nowhere: the last two of proxies httpx can't read."""


def proxies_of(url: str) -> list[str]:
    """Return the variables of the environment that name a proxy for an address."""
    try:
        host = httpx.URL(url).host
    except httpx.InvalidURL:
        return []
    shut = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if any(name.strip() and (name.strip() == "*" or host.endswith(name.strip())) for name in shut.split(",")):
        return []
    wanted = (f"{url.partition(':')[0]}_proxy", "all_proxy")
    return sorted(name for name, value in os.environ.items() if name.lower() in wanted and value)


@functools.cache  # the server of a process is started once
def _start() -> str:
    """Start an embedded server; return its address once it answers.

    Prefect's own start waits for ever where the server can't come up, and lets a signal to the whole process
    group end it before the run that has something to tell it.
    """
    check_embedded()
    limit_s = int(PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS.value())
    end = time.monotonic() + limit_s
    port = _free_port()
    server = subprocess.Popen(
        [sys.executable, "-P", str(Path(__file__).with_name("embedded.py")), str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | _EMBEDDED | get_current_settings().to_environment_variables(exclude_unset=True),
    )
    atexit.register(_stop, server)
    said: deque[str] = deque(maxlen=_SAID_LINES)
    hearing = threading.Thread(target=_hear, args=(server.stderr, said), daemon=True)
    hearing.start()
    url = f"http://127.0.0.1:{port}/api"
    try:
        # One client for every time we ask: each reads the certificates of all authorities.
        with httpx.Client(base_url=url, timeout=5, trust_env=False) as client:
            while not _answers(client):
                if server.poll() is not None:
                    hearing.join(_END_S)
                    raise U1Error(
                        "Prefect's embedded server to start", _reason(said), f"run `u1 doctor`, or {_OWN}"
                    )
                if time.monotonic() > end:
                    got = f"no answer from it for {limit_s} s"
                    todo = f"raise PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS, or {_OWN}"
                    raise U1Error("Prefect's embedded server to start", got, todo)
                time.sleep(0.1)
    except BaseException:
        server.kill()
        raise
    return url


def check_embedded() -> None:
    """See to what would keep an embedded server from starting, or from being heard.

    Raises:
        U1Error: Nothing can be written in Prefect's home, variables name proxies that can't be read, or too
            few files may be open at once.
    """
    may_be_open, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= may_be_open < _OPEN_FILES:
        raise U1Error(f"{_OPEN_FILES} files that may be open at once", f"{may_be_open}", "raise `ulimit -n`")
    try:
        httpx.Client().close()
    except _NO_ANSWER as e:
        todo = "correct HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, in small letters too, or unset them"
        raise U1Error("proxies that can be asked", " ".join(str(e).split()), todo) from e
    home = PREFECT_HOME.value()
    try:
        home.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=home).close()
    except OSError as e:
        todo = f"set PREFECT_HOME to a folder that can be written; or {_OWN}"
        raise U1Error("Prefect's home to be a folder with room", f"{home}: {e.strerror or e}", todo) from e


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _answers(client: httpx.Client) -> bool:
    """Tell whether a server of this machine is up; whatever proxies there are have no part in it."""
    try:
        return client.get("/health").is_success
    except httpx.HTTPError:
        return False


def _hear(stream: IO[bytes], said: deque[str]) -> None:
    """Take what the server says: its terminal is not ours, and a full pipe would stop it."""
    for line in stream:
        said.append(line.decode(errors="replace").strip())


def _reason(said: deque[str]) -> str:
    """Return the last line that names an error, of tracebacks and what frameworks add to them."""
    lines = [line for line in said if line]
    errors = [line for line in lines if "Error" in line.partition(":")[0] and not line.startswith("ERROR")]
    return (errors or lines or ["no word from it"])[-1]


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Let the server end, as it does when its standard input is closed."""
    if server.stdin:
        server.stdin.close()
    try:
        server.wait(_END_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
