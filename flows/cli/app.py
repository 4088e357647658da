"""All commands of `u1` together; whatever goes wrong in one is a line, whatever the signal.

Heavy imports happen inside the commands, so that `--help` and `u1 sql` start at once.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import typer

from flows.cli import catalog, lake, soundness, sweep, train
from flows.cli.arguments import err
from u1core.common.errors import U1Error

app = typer.Typer(
    name="u1",
    help="Test U(1) symmetry breaking at CNN bottlenecks: any pretrained model, any labelled images.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(catalog.app, name="catalog")

# typer carries its own copy of click; its public BadParameter leads to the base of all usage errors.
UsageError = cast("type[typer.BadParameter]", typer.BadParameter.__bases__[0])

_INTERRUPTED = 130
"""What typer returns after Ctrl-C."""

_NO_OUTPUT = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


for command in (
    *(sweep.plan, sweep.preregister, sweep.sweep, sweep.retry, sweep.serve, train.train),
    *(lake.sql, lake.report, soundness.doctor, lake.migrate, lake.verify, lake.gc, soundness.validate),
):
    app.command()(command)


def main() -> None:
    """Run `u1`; a user's mistake is one line on stderr and exit status 1, never a traceback."""
    _heed_signals()
    # Of a log that could not be sent to Prefect's server nothing is said on the terminal.
    logging.raiseExceptions = False
    # A name that the terminal cannot show is no reason to stop.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with _surroundings():
            status = app(standalone_mode=False)
            sys.stdout.flush()
        if status == _INTERRUPTED:
            raise KeyboardInterrupt
    except U1Error as e:
        message = str(e)
    except UsageError as e:
        if not (message := _usage_message(e)):
            sys.exit(0)  # `u1` alone: its help is on the screen
    except (typer.Abort, KeyboardInterrupt):
        err.print(
            "u1: interrupted; what is written is kept, the same command goes on from here", highlight=False
        )
        # A query that was interrupted makes DuckDB tell of its leaks when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
        sys.exit(1)
    else:
        sys.exit(status if isinstance(status, int) else 0)
    err.print(f"u1: {message}", highlight=False, markup=False)
    sys.exit(1)


@contextmanager
def _surroundings() -> Iterator[None]:
    """Turn errors of the system that name no file into one line: of output, or of where this runs."""
    try:
        yield
    except BrokenPipeError:
        os._exit(1)
    except OSError as e:
        if e.filename is not None or e.errno not in (errno.ENOENT, *_NO_OUTPUT):
            raise
        if e.errno == errno.ENOENT:
            todo = "go to another one"
            raise U1Error("a working directory that is there", "one that is deleted", todo) from e
        # What is left in the buffer would fail again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise U1Error("a place for what is printed", str(e.strerror), "make room there") from e


def _heed_signals() -> None:
    """Take `kill` and a closed terminal as Ctrl-C; by default they would leave Prefect's server behind."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


def _usage_message(error: typer.BadParameter) -> str:
    """Return a usage error as one line that names the help to read; empty where nothing was asked for."""
    command = error.ctx.command_path if error.ctx else "u1"
    text = " ".join(error.format_message().split()).rstrip(".")
    return f"{text}; `{command} --help` shows what it takes" if text else ""
