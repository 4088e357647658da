"""How far a piece of work is, told to whoever asked."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with how much is done and how much there is in all."""


def untold(done: int, total: int) -> None:
    """Tell nobody."""
