"""What the fuzzers share: how many examples, damaged bytes, and the one way to say no."""

import os
from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from u1core.common.errors import U1Error
from u1core.common.text import printable

# An example that takes a minute is a hang, whatever else the machine does.
fuzzed = settings(
    max_examples=int(os.environ.get("U1_FUZZ_EXAMPLES", "150")),
    deadline=timedelta(seconds=60),
    suppress_health_check=list(HealthCheck),
)

HOSTILE = (
    "<script>alert(1)</script>",
    '" onload="alert(1)',
    "'; drop table records; --",
    "../../etc/passwd",
    "/etc/passwd",
    "\x1b[2J",
    "\x1b]8;;https://example.org\x07link\x1b]8;;\x07",
    "\u202egnp.exe",
    "line\rover",
    "two\nlines",
    "[red]",
    "[/]",
    "$\\frac{$",
    "CON",
    "a" * 300,
    "\u0000",
    "",
)

words = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=20))


def answer(function, *arguments):
    """Call a function; None where it says no as it should: a U1Error of one line that can be shown."""
    try:
        return function(*arguments)
    except U1Error as error:
        message = str(error)
        assert message == printable(message)
        return None


@st.composite
def damaged(draw, contents):
    """Bytes of one of the contents, some changed, cut off or put in between; at times none."""
    data = bytearray(draw(contents if isinstance(contents, st.SearchStrategy) else st.sampled_from(contents)))
    for _ in range(draw(st.integers(0, 6))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        kind = draw(st.sampled_from(("change", "cut", "insert", "remove", "flip")))
        if kind == "cut":
            del data[place:]
        elif kind == "remove":
            del data[place : place + draw(st.integers(1, 40))]
        elif kind == "insert":
            data[place:place] = draw(st.binary(min_size=1, max_size=12))
        elif kind == "flip" and data:
            data[place] ^= 1 << draw(st.integers(0, 7))
        else:
            data[place : place + 4] = draw(
                st.one_of(st.binary(max_size=4), st.just(b"\xff" * 4), st.just(b"\0" * 4))
            )
    return bytes(data)
