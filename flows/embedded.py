"""Prefect's server of one process: `python embedded.py PORT`; `flows.server` starts it.

It ends when its standard input does, which is when the process that has the other end is gone, however that
went. Signals are not for it: Ctrl-C and those that a service manager sends to all processes end the run, and
the run has an end to tell. Only Prefect is imported, so that it starts as soon as can be.
"""

import contextlib
import os
import signal
import sys
import threading
import time

import uvicorn

_SHUTDOWN_S = 5.0


class Server(uvicorn.Server):
    """A server that leaves signals as they are."""

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
        """Capture none."""
        return contextlib.nullcontext()


def end_with_input(server: Server) -> None:
    """Wait for the end of standard input, then have the server end, in good order or not."""
    while os.read(0, 1 << 10):
        pass
    server.should_exit = True
    time.sleep(_SHUTDOWN_S)
    os._exit(0)


def main() -> None:
    """Serve on loopback."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    config = uvicorn.Config(
        "prefect.server.api.server:create_app",
        factory=True,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="error",
        lifespan="on",
        timeout_graceful_shutdown=1,  # what still listens to its events would hold it
    )
    server = Server(config)
    threading.Thread(target=end_with_input, args=(server,), daemon=True).start()
    server.run()
    sys.exit(not server.started)


if __name__ == "__main__":
    main()
