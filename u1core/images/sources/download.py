"""Downloads by torchvision, in a process of its own.

`python -m u1core.images.sources.download CLASS FOLDER ARGUMENTS`, with a JSON list of what each split is
asked for with. A process of its own can set a time limit on every connection without changing the caller's,
and its progress bars stay out of ours.
"""

from __future__ import annotations

import inspect
import json
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TIMEOUT_S = 20.0


def accepted_arguments(name: str) -> set[str]:
    """Name the arguments of a class of torchvision.datasets, those it passes on to its parent included."""
    from torchvision import datasets

    accepted: set[str] = set()
    for parent in getattr(datasets, name).__mro__:
        parameters = inspect.signature(parent.__init__).parameters
        accepted |= set(parameters)
        if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters.values()):
            break
    return accepted


def download(name: str, folder: Path, splits: Sequence[Mapping[str, Any]]) -> None:
    """Download and unpack the splits of a data set; torchvision knows where they are and their checksums.

    Raises:
        Exception: As torchvision does: not reachable, wrong checksum, no longer offered.
    """
    from torchvision import datasets

    if "download" not in accepted_arguments(name):
        raise RuntimeError(f"{name} is not offered for download: get it where its authors say")
    for arguments in splits:
        getattr(datasets, name)(root=str(folder), download=True, **arguments)


if __name__ == "__main__":
    socket.setdefaulttimeout(TIMEOUT_S)
    try:
        download(sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3]))
    except Exception as error:  # told in one line; torchvision has many kinds
        raise SystemExit(" ".join(f"{type(error).__name__}: {error}".split())) from None
