"""Prefect flows that read like a method section: sweep, train; serve deploys the sweep on a schedule.

What they are asked for is in options, checked in request; runners and clusters say where they run, server and
embedded, which it starts, who hears of it; progress and ask what others see of them and what they ask a lake.
The command line `u1` is in cli.
"""

import tasks  # noqa: F401  (its quiet, offline defaults must be set before anything imports prefect)
