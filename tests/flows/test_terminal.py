"""What reaches the terminal: nothing of others but text."""

import errno
import io
import os
import sys

import pytest
from rich.progress import Progress, TextColumn
from rich.table import Table
from rich.text import Text

from flows.cli.board import Board
from flows.cli.terminal import Console, open_streams, plain
from flows.options import Where
from tasks.events import Ended, Moved
from tasks.results import as_markdown
from u1core.common.errors import U1Error

HOSTILE = "\x1b[2J\x1b]8;;http://x\x07a\x1b]8;;\x07\u202eb\r[red]c[/] [/] [link=http://x]d[/link]"


def terminal():
    return Console(file=io.StringIO(), force_terminal=True, width=300, emoji=False)


def written(console):
    """What was written, without the codes that rich itself sends."""
    import re

    return re.sub(r"\x1b\[[0-9;?]*[mlhKAGH]", "", console.file.getvalue())


def check(text, *, whole=True):
    """See that nothing steers; a `Text` is laid out before it is escaped, and may be cut."""
    assert not set(text) & {"\x1b", "\x07", "\u202e"}, ascii(text)
    assert "\r" not in text.replace("\r\n", "")
    assert "\\x1b[2J" in text
    assert not whole or "[red]c[/] [/] [link=http://x]d[/link]" in " ".join(text.split())


def test_prints_tables_and_texts():
    for printed in (plain(HOSTILE), Text(HOSTILE)):
        console, table = terminal(), Table("a", title=plain(HOSTILE))
        table.add_row(printed)
        console.print(table)
        check(written(console))
    console = terminal()
    console.print(HOSTILE, markup=False, highlight=False)
    check(written(console))


def test_bars():
    console = terminal()
    board = Board(console)
    with board.progress:
        board(Moved(HOSTILE, "extract", 1, 2))
        board.progress.refresh()
        board(Ended(HOSTILE, "done"))
    check(written(console).replace("\r", ""))
    console = terminal()
    with Progress(TextColumn("{task.description}", markup=False), console=console) as progress:
        progress.add_task(HOSTILE)
    check(written(console).replace("\r", ""), whole=False)


def test_artifacts():
    cell = as_markdown("<script>x</script> | [a](javascript:b)\n# c \x1b[2J")
    assert cell == r"\<script\>x\</script\> \| \[a\](javascript:b) \# c \\x1b\[2J"


def test_a_password_in_a_dask_address_is_refused_and_not_told():
    with pytest.raises(U1Error, match="without user and password") as refused:
        Where("dask", "tcp://me:hunter22@host:8786")
    assert "hunter22" not in str(refused.value)


def test_streams_that_are_closed_lead_nowhere(monkeypatch):
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(f"sys.{name}", None)
    open_streams()
    with sys.stdin as stdin, sys.stdout as stdout, sys.stderr as stderr:
        assert stdin.read() == ""
        assert stdout.write("a") == stderr.write("a") == 1
        assert not stdin.isatty()


def test_a_working_directory_that_is_deleted_is_one_line(u1, monkeypatch):
    def fail(**_):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    monkeypatch.setattr("flows.cli.app.app", fail)
    assert u1("doctor").stderr == (
        "u1: expected a working directory that is there; got one that is deleted; go to another one\n"
    )


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EFBIG])
def test_a_full_place_for_what_is_printed_is_one_line(u1, monkeypatch, number):
    def fail(**_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("flows.cli.app.app", fail)
    done = u1("doctor")
    assert done.returncode == 1
    assert done.stderr == (
        f"u1: expected a place for what is printed; got {os.strerror(number)}; make room there\n"
    )
