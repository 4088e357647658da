"""The terminal as `u1` writes to it: whatever is printed, only rich itself sends control characters."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import rich.console
from rich.console import ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.text import Text

from u1core.common.text import harmless, printable

__all__ = ["Console", "open_streams", "plain"]


def open_streams() -> None:
    """Lead standard streams that are closed to nowhere: else the next file opened would be one of them."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - to the end


class Console(rich.console.Console):
    """A console on which names of files and classes are text and nothing else."""

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401 (rich's)
        """Escape a string before it is laid out, so that columns are as wide as what is shown."""
        return super().render_str(printable(text, keep="\n\t"), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Escape what came as a `Text`: bars and tables hold such."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text, keep="\n"))


def plain(text: object) -> str:
    """Return text of others for a place where rich reads markup: brackets stay brackets, secrets hidden."""
    return escape(harmless(str(text)))
