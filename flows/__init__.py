"""Prefect flows that read like a method section, and the command line `u1`."""

import tasks  # noqa: F401  (its quiet, offline defaults must be set before anything imports prefect)
