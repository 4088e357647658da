"""The errors that a user can mend."""

import errno
from collections.abc import Sequence

from u1core.common.text import harmless

LIMITS = {errno.EMFILE: "ulimit -n", errno.EFBIG: "ulimit -f"}
"""By error of the system: the limit of this process that it tells of, as a shell calls it."""


class U1Error(Exception):
    """A mistake the user can mend, told in one line.

    The message says what was expected, what came, and what to do. The command line prints it and exits
    with status 1; everything else that escapes is a fault of ours and keeps its traceback. What comes from
    others (names, addresses) is made harmless: nothing in it can steer a terminal, and passwords are hidden.

    Args:
        expected: What was expected, as a clause ("--model to name a catalog entry").
        got: What came ("'resnet51'").
        todo: What to do next, or the valid values ("`u1 catalog list` shows them").
    """

    def __init__(self, expected: str, got: str, todo: str) -> None:
        self.expected, self.got, self.todo = expected, got, todo
        super().__init__(harmless(f"expected {expected}; got {got}; {todo}"))

    def __reduce__(self) -> tuple[type["U1Error"], tuple[str, str, str]]:
        """Keep the three parts when the error crosses a process border."""
        return type(self), (self.expected, self.got, self.todo)


def reason_of(error: Exception) -> str:
    """Tell an error of other people's code in a few words: its type and the first line that says something.

    Example:
        >>> reason_of(ValueError("no such size", 3))
        "ValueError: ('no such size', 3)"
    """
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {line}"[:200]


class TakenError(U1Error):
    """Another sweep is writing to the lake: to be waited for, or told."""


def check_choice(option: str, value: str, valid: Sequence[str]) -> None:
    """Raise U1Error unless `value` is one of the valid ones."""
    if value not in valid:
        raise U1Error(f"{option} to be one of {', '.join(valid)}", repr(value), "name one of them")
