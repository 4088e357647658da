"""`u1 sql` at a terminal and under Ctrl-C: a real process, a pseudo-terminal."""

import contextlib
import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time

import pytest

from flows.cli import sql
from u1core.lake.store import Lake

# A test runner in the background has its children ignore what is sent here.
U1 = """
import signal
from flows.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""
ENDLESS = [
    "select count(*) from range(10000000000) as a, range(1000000) as b where a.range * b.range % 7 = 3",
    "with recursive t(i) as (select 1 union all select i + 1 from t) select max(i) from t",
]


@pytest.fixture
def lake(tmp_path):
    return Lake.open(tmp_path / "lake", create=True)


@pytest.mark.parametrize("query", ENDLESS)
def test_ctrl_c_ends_a_query_with_one_line(environment, lake, tmp_path, query):
    process = subprocess.Popen(
        [sys.executable, "-c", U1, "sql", query],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(5)  # in which a progress bar would be printed, too
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert out == ""
    assert err.startswith("u1: interrupted")
    assert len(err.splitlines()) == 1


def test_a_line_of_csv_ends_as_a_shell_compares_it(lake, capfd):
    sql.answer(lake.root, "select 0 as n, 'a,b' as t", {}, "csv", None)
    assert capfd.readouterr().out == 'n,t\n0,"a,b"\n'


def again_and_again(send, has_arrived):
    """Send a signal until it has arrived.

    Python's readline does not see one between writing its prompt and waiting for a key, where no person is
    quick enough.
    """
    for _ in range(60):
        send()
        if has_arrived():
            break


class Terminal:
    """`u1 sql` on a pseudo-terminal."""

    def __init__(self, environment, cwd):
        self.screen, inside = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", U1, "sql"],
            cwd=cwd,
            env=environment | {"TERM": "dumb", "XDG_STATE_HOME": str(cwd / "state")},
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
            # So that Ctrl-C at the terminal reaches the process.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(inside)
        self.seen = ""
        self.wait_for("u1> ")

    def type(self, text, shown):
        """Type a text; wait until something new is shown."""
        self.seen = ""
        os.write(self.screen, text.encode())
        self.wait_for(shown)

    def wait_for(self, shown):
        end = time.monotonic() + 120
        while shown not in self.seen:
            ready, _, _ = select.select([self.screen], [], [], max(0, end - time.monotonic()))
            assert ready, f"{shown!r} is not in {self.seen!r}"
            self.seen += os.read(self.screen, 10_000).decode()

    def press_ctrl_c_at_the_prompt(self):
        """Press until a fresh prompt is shown."""
        self.seen = ""
        again_and_again(
            lambda: os.write(self.screen, b"\x03"),
            lambda: select.select([self.screen], [], [], 2)[0],
        )
        self.wait_for("u1> ")

    def leave(self):
        os.write(self.screen, b"\x04")
        assert self.process.wait(60) == 0
        os.close(self.screen)


def test_the_shell_completes_recalls_and_survives_ctrl_c(environment, lake, tmp_path):
    before = sorted(lake.root.rglob("*"))
    shell = Terminal(environment, tmp_path)
    shell.type("select count(*) from theta_unc\t", "theta_uncertainty")
    shell.type(";\n", "u1> ")
    assert "0" in shell.seen
    shell.type("select nope;\n", "u1: expected a query DuckDB can run")
    shell.wait_for("u1> ")
    shell.type(ENDLESS[1] + ";\n", "\n")
    time.sleep(3)
    shell.type("\x03", "u1: interrupted; the shell goes on")
    shell.wait_for("u1> ")
    shell.type("select half a query\n", "...> ")
    shell.press_ctrl_c_at_the_prompt()
    shell.type("select 41 + 1 as answer;\n", "42")
    shell.wait_for("u1> ")
    shell.leave()

    again = Terminal(environment, tmp_path)
    again.type("\x10", "select 41 + 1 as answer;")  # Ctrl-P, the line before
    again.type("\n", "42")
    again.wait_for("u1> ")
    again.leave()
    assert (tmp_path / "state" / "u1sweep" / "sql_history").read_text().count("answer") >= 1
    assert sorted(lake.root.rglob("*")) == before


def test_kill_ends_the_shell(environment, lake, tmp_path):
    shell = Terminal(environment, tmp_path)

    def has_ended():
        with contextlib.suppress(subprocess.TimeoutExpired):
            shell.process.wait(2)
        return shell.process.poll() is not None

    again_and_again(shell.process.terminate, has_ended)
    assert shell.process.poll() == 1


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("theta_image_s", ["theta_image_sd_rad"]),
        ("r.ee5", ["r.ee50_radius"]),
        ("lake.fra", ["lake.frames"]),
        ("MEMORY_R", ["memory_report"]),
        ("qualif", ["qualify"]),
        ("nothing_begins_so", []),
    ],
)
def test_tab_offers_what_a_query_is_made_of(typed, offered):
    assert sql.completions(typed) == offered
