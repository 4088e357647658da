"""Prefect tasks: one side effect each. Importing this package makes Prefect quiet and offline.

Settings are defaults: a value in the environment wins.
"""

import os

from u1core.common.errors import U1Error
from u1core.common.paths import at_home

_DEFAULTS = {
    # No telemetry: nothing leaves the machine.
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_UI_V2_ENABLED": "false",
    # The terminal belongs to the progress bars; the server keeps the logs.
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    # Without a server every event that can't be sent would be a page of its own.
    "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
    "DASK_LOGGING__DISTRIBUTED": "error",
    # Bars of downloads would draw over ours.
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    # A first start compiles and migrates: 13 s on two idle cores, over 90 s on busy ones.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300",
}
for _name, _value in _DEFAULTS.items():
    os.environ.setdefault(_name, _value)


def _spare_loopback() -> None:
    """Have no proxy asked for this machine: none leads back, and the embedded server is here."""
    # The small letters win where both are set, so both are to say the same.
    hosts = (os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "").split(",")
    spared = ",".join(dict.fromkeys(filter(None, (*map(str.strip, hosts), "127.0.0.1", "localhost", "::1"))))
    os.environ |= {"no_proxy": spared, "NO_PROXY": spared}


_spare_loopback()


def check_settings() -> None:
    """Import Prefect, which reads its settings and profiles at once.

    Raises:
        U1Error: It can't make sense of them, or there is no home, for which it asks in any case.
    """
    at_home("~")
    try:
        import prefect.main  # noqa: F401
    except (ValueError, OSError, KeyError) as e:
        home = os.environ.get("PREFECT_HOME") or "~/.prefect"
        todo = f"mend or move {home}/profiles.toml, or the variables PREFECT_* and prefect.toml here"
        raise U1Error("settings that Prefect can read", f"{type(e).__name__}: {e}"[:300], todo) from e
