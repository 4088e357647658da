"""The Prefect server of a run: no proxy between, a deadline on every start, one line where there is none."""

import errno
import subprocess
import sys
import time
from types import SimpleNamespace

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tasks
from flows import server
from flows.cli.doctor import diagnose
from u1core.common.errors import U1Error

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@pytest.fixture
def no_proxies(monkeypatch):
    for name in (*VARIABLES, "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def begin(monkeypatch, tmp_path):
    """Start an embedded server whose process runs other Python than Prefect's."""
    monkeypatch.setattr(server, "check_embedded", lambda: None)
    begun = []

    def start(code, limit_s=60):
        script = tmp_path / "embedded.py"
        script.write_text(code)
        monkeypatch.setattr(server, "__file__", str(tmp_path / "server.py"))
        limit = SimpleNamespace(value=lambda: limit_s)
        monkeypatch.setattr(server, "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", limit)
        popen = subprocess.Popen
        monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: begun.append(popen(*a, **k)) or begun[-1])
        return server._start.__wrapped__()

    yield start, begun
    for process in begun:
        server._stop(process)
        process.stderr.close()
        server.atexit.unregister(server._stop)


FAILS = """
import sys
sys.exit('''Traceback (most recent call last):
sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) unable to open database file
(Background on this error at: ...)
ERROR:    Application startup failed. Exiting.''')
"""
SILENT = "import sys; sys.stdin.read()"
REFUSING = """
import http.server, sys, threading
class Refuse(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response({status})
        self.end_headers()
    def log_message(self, *_): pass
http.server.HTTPServer.address_family = 2
one = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Refuse)
threading.Thread(target=one.serve_forever, daemon=True).start()
sys.stdin.read()
"""


def test_a_server_that_ends_at_once_is_told_with_its_error(begin):
    start, begun = begin
    with pytest.raises(U1Error, match=r"server to start; got sqlalchemy.*unable to open database file; run"):
        start(FAILS)
    assert begun[0].wait(10) == 1


@pytest.mark.parametrize("code", [SILENT, REFUSING.format(status=503)])
def test_a_server_that_never_answers_has_a_deadline(begin, code):
    start, begun = begin
    before = time.monotonic()
    with pytest.raises(U1Error, match="no answer from it for 1 s; raise PREFECT_SERVER_EPHEMERAL_STARTUP"):
        start(code, limit_s=1)
    assert time.monotonic() - before < 30
    assert begun[0].wait(10) < 0  # killed, not left


def test_a_server_is_reached_past_every_proxy_and_ends_with_its_input(begin, monkeypatch):
    for name in VARIABLES:
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    start, begun = begin
    url = start(REFUSING.format(status=200))
    assert httpx.get(f"{url}/health", trust_env=False).status_code == 200
    begun[0].stdin.close()
    assert begun[0].wait(30) == 0


def test_the_embedded_server_heeds_no_signal_and_ends_with_its_input():
    """What is sent to a whole process group must leave the run someone to tell its end to."""
    code = """
import os, runpy, signal, sys, types
class Server:
    def __init__(self, config): self.started, self.should_exit = True, False
    def run(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP): os.kill(os.getpid(), number)
        print("heard nothing", flush=True)
        while not self.should_exit: pass
sys.modules["uvicorn"] = types.SimpleNamespace(Server=Server, Config=lambda *a, **k: None)
sys.argv = ["embedded", "0"]
runpy.run_path(%r, run_name="__main__")
"""
    path = server.Path(server.__file__).with_name("embedded.py")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code % str(path)], **pipes) as process:
        assert process.stdout.readline() == "heard nothing\n"
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(30) == 0


HOSTS = st.lists(st.sampled_from([".example.org", "10.0.0.0/8", "localhost", " ::1 ", "", "127.0.0.1"]))


@given(lower=HOSTS, upper=HOSTS)
def test_loopback_is_spared_and_nothing_else_is_lost(lower, upper):
    with pytest.MonkeyPatch.context() as patched:
        for name, hosts in (("no_proxy", lower), ("NO_PROXY", upper)):
            patched.setenv(name, ",".join(hosts))
        asked = ",".join(lower) or ",".join(upper)
        tasks._spare_loopback()
        spared = tasks.os.environ["no_proxy"]
        assert spared == tasks.os.environ["NO_PROXY"]
    hosts = spared.split(",")
    assert len(hosts) == len(set(hosts))
    assert set(hosts) == {"127.0.0.1", "localhost", "::1"} | ({h.strip() for h in asked.split(",")} - {""})


@pytest.mark.parametrize("name", VARIABLES)
@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9"])
@pytest.mark.usefixtures("no_proxies")
def test_a_proxy_that_is_set_is_not_asked_for_this_machine(monkeypatch, name, proxy):
    monkeypatch.setenv(name, proxy)
    tasks._spare_loopback()
    with httpx.Client() as client:
        for url in ("http://127.0.0.1:4200/api", "http://localhost:4200/api", "http://[::1]:4200/api"):
            assert client._transport_for_url(httpx.URL(url)) is client._transport
    assert server.proxies_of("http://127.0.0.1:4200/api") == []
    scheme = "https" if name.lower() == "https_proxy" else "http"
    assert server.proxies_of(f"{scheme}://prefect.example.org/api") == [name]


@pytest.mark.parametrize("proxy", ["foo://x", "http://[::x"])
@pytest.mark.usefixtures("no_proxies")
def test_a_proxy_that_cannot_be_read_is_one_line(monkeypatch, proxy):
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(U1Error, match=r"proxies that can be asked.*HTTP_PROXY, HTTPS_PROXY and ALL_PROXY"):
        server.check_embedded()
    with pytest.raises(U1Error, match="ALL_PROXY lead there: add its host to NO_PROXY"):
        server.check_server("http://prefect.example.org/api")


@pytest.mark.usefixtures("no_proxies")
@pytest.mark.parametrize("files", [64, 128, server.resource.RLIM_INFINITY])
def test_a_limit_of_open_files_that_no_server_can_serve_with_is_one_line(monkeypatch, tmp_path, files):
    monkeypatch.setattr(server, "PREFECT_HOME", SimpleNamespace(value=lambda: tmp_path))
    monkeypatch.setattr(server.resource, "getrlimit", lambda which: (files, files))
    if files != 64:
        return server.check_embedded()
    with pytest.raises(U1Error, match="128 files that may be open at once; got 64; raise `ulimit -n`"):
        server.check_embedded()


@pytest.mark.usefixtures("no_proxies")
def test_a_home_that_cannot_be_written_is_one_line(monkeypatch, tmp_path):
    def set_home(home):
        monkeypatch.setattr(server, "PREFECT_HOME", SimpleNamespace(value=lambda: home))

    set_home(tmp_path / "new" / "home")
    server.check_embedded()
    (tmp_path / "file").touch()
    for home in (tmp_path / "file", tmp_path / "file" / "home"):
        set_home(home)
        with pytest.raises(U1Error, match=r"Prefect's home to be a folder .*file.*set PREFECT_HOME"):
            server.check_embedded()

    def refuse(**_):
        raise OSError(errno.ENOSPC, "No space left on device")

    set_home(tmp_path)
    monkeypatch.setattr(server.tempfile, "TemporaryFile", refuse)
    with pytest.raises(U1Error, match="No space left on device"):
        server.check_embedded()


@pytest.mark.parametrize(
    "error", [ValueError("Invalid value\nat end"), PermissionError("no"), KeyError("uid")]
)
def test_settings_that_prefect_cannot_read_are_one_line(monkeypatch, error):
    class Broken:
        def find_spec(self, name, *_):
            if name == "prefect.main":
                raise error

    monkeypatch.delitem(sys.modules, "prefect.main", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(U1Error, match=r"settings that Prefect can read; got .*profiles.toml") as raised:
        tasks.check_settings()
    assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("no_proxies")
def test_the_doctor_names_what_would_keep_a_sweep_from_running(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ALL_PROXY", "foo://x")
    monkeypatch.setenv("U1_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    found = {one.topic: one for one in diagnose(tmp_path / "file" / "lake", None, None)}
    faults = {topic for topic, one in found.items() if one.state == "fault"}
    # torch, where it is not imported yet, needs a temporary folder too.
    assert faults - {"torch"} == {"server", "disk", "cache", "temporary"}
    assert "ALL_PROXY" in found["server"].todo
    assert "U1_CACHE" in found["cache"].todo
    assert "TMPDIR" in found["temporary"].todo
    assert "--lake" in found["disk"].todo
