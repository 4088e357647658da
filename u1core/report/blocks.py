"""What a page is made of: pictures with captions, tables, and subjects that hold both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from u1core.report.figures.canvas import Drawing, Mark


@dataclass(frozen=True)
class Card:
    """A picture with its caption and the views its numbers come from."""

    title: str
    caption: str
    drawing: Drawing
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Badge:
    """One of the four states of a question, what was asked, and what a reader sees who points at it."""

    state: str
    question: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Value:
    """A table's value with a smaller one below it, or a link to a place of the page; or badges."""

    text: str
    small: str = ""
    href: str = ""
    badges: tuple[Badge, ...] = ()


@dataclass(frozen=True)
class Table:
    """Rows of values.

    Attributes:
        caption: What a row is.
        head: Names of the columns.
        texts: How many columns, from the left, hold words; the others hold numbers.
        rows: The values, row by row.
        sources: The views they come from.
        fold: What to click on to see the table; empty: it is open.
    """

    caption: str
    head: tuple[str, ...]
    texts: int
    rows: Sequence[Sequence[str | Value]]
    sources: tuple[str, ...] = ()
    fold: str = ""


@dataclass(frozen=True)
class Note:
    """A sentence, and the command that changes what it says."""

    text: str
    command: str = ""


@dataclass(frozen=True)
class Subject:
    """One question about a dataset: pictures, then tables, then what is missing and how to fill it."""

    anchor: str
    title: str
    text: str
    key: Sequence[Mark] = ()
    cards: Sequence[Card] = ()
    small_cards: Sequence[Card] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[Note] = field(default_factory=list)
    sources: tuple[str, ...] = ()


def anchor(*parts: str) -> str:
    """Return an id for a place of the page."""
    return "-".join("".join(c if c.isalnum() else "_" for c in part) for part in parts)
