"""`u1 serve`: the sweep as a scheduled deployment of this process, registered with a Prefect server."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.settings import PREFECT_API_URL
from prefect.types.entrypoint import EntrypointType
from pydantic import ValidationError
from rich.console import Console

from flows.options import Options
from flows.request import Request
from flows.server import check_server
from flows.sweep import run_sweep
from u1core.common.errors import U1Error
from u1core.lake.storage import resolve_address

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True)
class Schedule:
    """When a sweep runs.

    Attributes:
        text: As it was asked for.
        prefect: As Prefect takes it.
    """

    text: str
    prefect: CronSchedule | IntervalSchedule

    @classmethod
    def of(cls, cron: str | None, every: str | None, timezone: str) -> Self:
        """Make a schedule of --cron or of --every.

        Raises:
            U1Error: Neither or both are given, or they make no sense.
        """
        if (cron is None) == (every is None):
            got = "neither" if cron is None else "both"
            raise U1Error("--cron or --every", got, "write for example --cron '0 2 * * *', or --every 6h")
        if every is not None:
            return cls(f"every {every}", IntervalSchedule(interval=_interval(every)))
        try:
            ZoneInfo(timezone)
            return cls(f"{cron} {timezone}", CronSchedule(cron=str(cron), timezone=timezone))
        except (ValidationError, ValueError, KeyError) as e:
            todo = "write five fields such as '0 2 * * *', and a --timezone such as Europe/Berlin"
            raise U1Error("--cron to be a schedule in a time zone", f"{cron!r} in {timezone!r}", todo) from e


def _interval(text: str) -> timedelta:
    match = re.fullmatch(r"([1-9]\d{0,5})([smhd])", text)
    if not match:
        raise U1Error("--every to be a time", repr(text), "write for example 90m, 6h or 1d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def serve_sweep(options: Options, schedule: Schedule, name: str, out: Console) -> None:
    """Register a sweep as a deployment and run it when it is due, one run at a time, until a signal.

    Args:
        options: Of the sweep; paths are made absolute.
        schedule: When it runs.
        name: Of the deployment.
        out: Where to say so.

    Raises:
        U1Error: An option names something that does not exist, or no Prefect server answers.
    """
    Request.of(options)
    server = PREFECT_API_URL.value()
    if not server:
        todo = (
            "start one with `prefect server start --host 127.0.0.1` and "
            "`export PREFECT_API_URL=http://127.0.0.1:4200/api`"
        )
        raise U1Error("a Prefect server that keeps the schedule", "no PREFECT_API_URL", todo)
    check_server(server)
    out.print(
        f"serving u1-sweep/{name} ({schedule.text}) to {server}\n"
        f"lake {options.lake}, report and digest in {options.report}; Ctrl-C ends it",
        highlight=False,
        markup=False,
    )
    run_sweep.serve(
        name=name,
        schedules=[schedule.prefect],
        # A second run of this deployment waits here, one of another process at the lake's lock.
        limit=1,
        parameters={"options": _absolute(options)},
        tags=["u1"],
        entrypoint_type=EntrypointType.MODULE_PATH,
        print_starting_message=False,
    )


def _absolute(options: Options) -> Options:
    """Return the options with full paths: runs start wherever Prefect likes."""
    given = vars(options).items()
    paths: dict[str, Any] = {name: value.resolve() for name, value in given if isinstance(value, Path)}
    return replace(options, **paths | {"lake": str(resolve_address(options.lake))})
