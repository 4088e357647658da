"""`code:<module>:<function>`: a network that the user's own code builds. Off until it is allowed."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import os
import re
from collections.abc import Sequence

from torch import nn

from u1core.common.errors import U1Error
from u1core.networks.sources.source import ModelSource

ALLOW = "U1_ALLOW_CODE"
"""Environment variable that allows user code when it is 1."""

_NAME = re.compile(r"(?P<module>[A-Za-z_][\w.]*):(?P<function>[A-Za-z_]\w*)")


class UserCode(ModelSource):
    """Functions without arguments that return a network. Nothing is imported unless $U1_ALLOW_CODE is 1."""

    def names(self) -> Sequence[str]:
        """Return nothing: any function may be named."""
        return ()

    def knows(self, name: str) -> bool:
        """Tell whether this names a function.

        Raises:
            U1Error: User code is not allowed.
        """
        if os.environ.get(ALLOW) != "1":
            raise U1Error(
                f"{ALLOW}=1 in the environment, because code:{name} runs code of the user's own",
                f"{ALLOW} is not 1",
                "set it where the sweep and its workers run, if you trust that code",
            )
        return _NAME.fullmatch(name) is not None

    def version(self, name: str) -> str:
        """Return the sha256 of the module's own file; what it imports is not seen."""
        module = importlib.import_module(name.partition(":")[0])
        return hashlib.sha256(inspect.getsource(module).encode()).hexdigest()

    def build(self, name: str, tag: str = "", classes: int | None = None) -> nn.Module:
        """Import the module and call the function."""
        module, _, function = name.partition(":")
        network = getattr(importlib.import_module(module), function)()
        if not isinstance(network, nn.Module):
            raise TypeError(f"{name}() returns {type(network).__name__}, no torch.nn.Module")
        return network
