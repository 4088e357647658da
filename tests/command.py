"""The command line as tests run it: in this process or in one of its own, with a Prefect server beside it."""

import contextlib
import ctypes
import gc
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request
import warnings
from pathlib import Path
from types import ModuleType

from filelock import FileLock

ROOT = Path(__file__).parents[1]
MAIN = "from flows.cli import main; main()"
U1 = [sys.executable, "-c", MAIN]
_SHOWN_TO_NOBODY = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
"""What Python keeps to itself in a process that is not a test's."""


def run_apart(arguments, cwd, environment, **more):
    """Run `u1` in a process of its own."""
    pipes = {"capture_output": True, "text": True, "timeout": 550, "check": False}
    return subprocess.run([*U1, *map(str, arguments)], cwd=cwd, env=environment, **pipes | more)


def run_here(arguments, cwd, environment):
    """Run `u1` in this process, which has its imports behind it; return what `run_apart` does.

    Everything that a process would take to its grave is as before: folder, environment, arguments, signals,
    logging, warnings, output. Two things are not: a caller's modules stay imported, and settings that a
    library reads once, at its import, are this process's.
    """
    from flows.cli import main

    with contextlib.ExitStack() as stack:
        for restored in (_argv(arguments), contextlib.chdir(cwd), _environ(environment), _signals()):
            stack.enter_context(restored)
        stack.enter_context(_as_python_begins())
        stack.enter_context(_with_little_to_collect())
        said = stack.enter_context(_caught())
        stack.enter_context(_prefect(environment))
        status = _status_of(main)
        gc.collect()
    return subprocess.CompletedProcess(["u1", *map(str, arguments)], status, *said)


def _status_of(main):
    try:
        main()
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        print(ended.code, file=sys.stderr)
        return 1
    except Exception:
        traceback.print_exc()
        return 1
    return 0


@contextlib.contextmanager
def _argv(arguments):
    """Be `u1` with arguments: what was started in truth, `python -m pytest`, would be in every help."""
    before = sys.argv, sys.modules["__main__"]
    sys.argv, sys.modules["__main__"] = ["u1", *map(str, arguments)], ModuleType("__main__")
    try:
        yield
    finally:
        sys.argv, sys.modules["__main__"] = before


@contextlib.contextmanager
def _environ(environment):
    before = dict(os.environ)
    try:
        for name in before:
            # Prefect's settings were read when it was imported; an address it may have is the caller's.
            if name.startswith("U1_") or name == "PREFECT_API_URL":
                del os.environ[name]
        os.environ.update(environment)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _signals():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _as_python_begins():
    """Show what Python shows by default: what a user sees on stderr is in question here."""
    raising = logging.raiseExceptions
    with warnings.catch_warnings():
        warnings.resetwarnings()
        for category in _SHOWN_TO_NOBODY:
            warnings.simplefilter("ignore", category)
        warnings.showwarning = lambda *shown: sys.stderr.write(warnings.formatwarning(*shown[:4]))
        try:
            yield
        finally:
            logging.raiseExceptions = raising


@contextlib.contextmanager
def _with_little_to_collect():
    """Spare the collector what was there before: half a second each time, once everything is imported."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextlib.contextmanager
def _caught():
    """Catch what this process and its children write; the list is filled at the end: output, errors."""
    said, streams = [], (sys.stdout, sys.stderr)
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in streams]
        kept = [os.dup(number) for number in (1, 2)]
        for stream in streams:
            stream.flush()
        for number, file in enumerate(files, 1):
            os.dup2(file.fileno(), number)
        opened = {"encoding": "utf-8", "closefd": False}
        sys.stdout, sys.stderr = (stack.enter_context(os.fdopen(number, "w", **opened)) for number in (1, 2))
        try:
            yield said
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            sys.stdout, sys.stderr = streams
            for number, file in enumerate(kept, 1):
                os.dup2(file, number)
                os.close(file)
            for file in files:
                file.seek(0)
                said.append(file.read().decode().replace("\r\n", "\n"))


@contextlib.contextmanager
def _prefect(environment):
    """Have Prefect, where it is imported already, use the server that a process would find."""
    if "prefect" not in sys.modules:
        yield
        return
    from prefect.settings import PREFECT_API_URL, temporary_settings

    url = environment.get("PREFECT_API_URL")
    if url == PREFECT_API_URL.value():  # all settings are validated again: a quarter of a second each time
        yield
        return
    with temporary_settings({PREFECT_API_URL: url} if url else None, restore_defaults={PREFECT_API_URL}):
        yield


class Warm:
    """Starts processes of Python code that have their imports behind them: see `warm.py`."""

    def __init__(self, environment):
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, str(ROOT / "tests" / "warm.py"), str(theirs.fileno())]
        self._process = subprocess.Popen(command, env=environment, pass_fds=[theirs.fileno()])
        theirs.close()

    def start(self, code, arguments=(), **how):
        """Start a process, which `python -c` would be; `how` is `subprocess.Popen`'s."""
        return _Fork(self._fork, code, arguments, **how)

    def run(self, code, arguments=(), timeout=550, **how):
        """Start a process and wait for its end, as `subprocess.run` does."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with self.start(code, arguments, **pipes | how) as process:
            try:
                said = process.communicate(timeout=timeout)
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(process.args, process.returncode, *said)

    def _fork(self, request, streams):
        with _adopting():
            socket.send_fds(self._requests, [json.dumps(request).encode()], streams)
            return int(self._requests.recv(20))

    def close(self):
        """End the process that forks; what it forked goes on."""
        self._requests.close()
        self._process.wait()


class _Fork(subprocess.Popen):
    """A process that another one forked for us: waited for and talked to like any other."""

    def __init__(self, fork, code, arguments, **how):
        self._fork = fork
        super().__init__(["-c", code, *map(str, arguments)], **how)

    def _execute_child(self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, *others):
        (_, _, _, p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite) = others[:9]
        *_, start_new_session, _ = others
        request = {
            "code": args[1],
            "arguments": args[2:],
            "cwd": str(cwd),
            "env": env,
            "start_new_session": start_new_session,
        }
        theirs = (p2cread, c2pwrite, errwrite)
        self.pid = self._fork(request, [n if given < 0 else given for n, given in enumerate(theirs)])
        self._child_created = True
        self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)


@contextlib.contextmanager
def _adopting():
    """Be the parent of orphans below this process, which is Linux's (`man 2 prctl`)."""
    set_subreaper, libc = 36, ctypes.CDLL(None)
    libc.prctl(set_subreaper, 1)
    try:
        yield
    finally:
        libc.prctl(set_subreaper, 0)


class Server:
    """A Prefect server on a port of its own that can be killed and started again."""

    def __init__(self, environment):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/api"
        self._environment = environment

    def start(self):
        command = "import tasks; from prefect.cli import app; app()"
        where = ["--host", "127.0.0.1", "--port", str(self.port)]
        self._process = subprocess.Popen(
            [sys.executable, "-c", command, "server", "start", *where],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until(self._answers, 300)

    @property
    def group(self):
        """The process group, which only its server is in."""
        return self._process.pid

    def _answers(self):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/health", timeout=5):
            return True
        return False

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.group, signal.SIGKILL)
        self._process.wait()


@contextlib.contextmanager
def shared_server(folder, environment):
    """Use the one Prefect server of all that name a folder: the first to come starts it, the last ends it."""
    note, turn = folder / "server.json", FileLock(folder / "server.lock")
    with turn:
        if note.exists():
            url, group, users = json.loads(note.read_text())
        else:
            server = Server(environment)
            server.start()
            _KEPT.append(server)
            url, group, users = server.url, server.group, 0
        note.write_text(json.dumps([url, group, users + 1]))
    try:
        yield url
    finally:
        with turn:
            *_, users = json.loads(note.read_text())
            if users > 1:
                note.write_text(json.dumps([url, group, users - 1]))
            else:
                note.unlink()
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(group, signal.SIGKILL)


_KEPT = []
"""Servers that this process started and that another may end."""


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_until(condition, timeout_s=300):
    """Wait until a condition holds."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
