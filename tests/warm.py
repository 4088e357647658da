"""Runs Python code, each time in a fork of this process, which has the imports of `u1` behind it.

    python warm.py <number of a socket>

Every request is a message of JSON with the descriptors of input, output and errors; the answer is the fork's
process id. Imports are most of a small sweep: they are done once, here, where neither a thread nor a server
runs yet. The fork ends as an interpreter ends, so what ends with it is seen, too.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import sys
from types import ModuleType

import duckdb  # noqa: F401
import fastapi  # noqa: F401  (Prefect brings it late, as the next three are brought)
import graphviz  # noqa: F401
import matplotlib.figure  # noqa: F401
import pandas  # noqa: F401  (Arrow looks for its objects in lists)
import torch._dynamo  # noqa: F401  (shapes of batch norms bring it)
import torchvision  # noqa: F401

import flows.serve
import flows.sweep
import flows.train  # noqa: F401
import tasks
import u1core.cells.search
import u1core.networks.build
import u1core.report.write
import u1core.training.run  # noqa: F401

_FOR_GOOD = contextlib.ExitStack()


def serve(requests):
    """Answer requests; return one, in its fork, or nothing when nobody asks any more."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, 2**20, 3)
        if not message:
            return None
        ours, theirs = os.pipe()
        between = os.fork()
        if not between and (child := os.fork()):
            os.write(theirs, str(child).encode())
            os._exit(0)  # so that the child is the caller's
        if not between:
            for number, descriptor in enumerate(descriptors):
                os.dup2(descriptor, number)
        else:
            os.waitpid(between, 0)
            requests.send(os.read(ours, 20))
        for descriptor in (ours, theirs, *descriptors):
            os.close(descriptor)
        if not between:
            return json.loads(message)


def become(request):
    """Make this process what a new one would be; return its main module."""
    if request["start_new_session"]:
        os.setsid()
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    importlib.reload(tasks)  # its defaults are for whoever is started from here
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    sys.argv = ["-c", *request["arguments"]]
    sys.modules["__main__"] = ModuleType("__main__")
    if url := os.environ.get("PREFECT_API_URL"):
        from prefect.settings import PREFECT_API_URL, temporary_settings

        _FOR_GOOD.enter_context(temporary_settings({PREFECT_API_URL: url}))
    return sys.modules["__main__"]


if __name__ == "__main__":
    gc.freeze()  # what is shared stays shared
    atexit.register(gc.unfreeze)
    with socket.socket(fileno=int(sys.argv[1])) as requests:
        request = serve(requests)
    if request:
        exec(request["code"], become(request).__dict__)
