"""A field of a catalog entry: what it may hold, the sentence that says so, and how TOML spells it.

An entry is a dataclass. Which fields a file may give it, and in what form, is said once, in `FIELDS` of its
module; reading, checking and writing go through that, and what is left out is the dataclass's default.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def nearest(name: str, valid: Iterable[str], n: int = 3) -> str:
    """Name the valid names nearest to a wrong one, or the first few where none is near."""
    names = list(valid)
    return ", ".join(difflib.get_close_matches(name, names, n, cutoff=0.5) or names[:8])


def _same(value: Any) -> Any:  # noqa: ANN401 - whatever a field holds
    return value


@dataclass(frozen=True)
class Field:
    """One field of an entry, or of its options.

    Attributes:
        holds: Whether a value from TOML is valid.
        valid: The sentence that says what is.
        required: Whether an entry must give it.
        read: Makes the entry's value of a valid one from TOML.
        write: Makes TOML's value of the entry's.
    """

    holds: Callable[[Any], bool]
    valid: str
    required: bool = True
    read: Callable[[Any], Any] = _same
    write: Callable[[Any], Any] = _same


def field_problems(where: str, given: Mapping[str, Any], known: Mapping[str, Field]) -> list[str]:
    """List the mistakes of one entry field by field: unknown, missing, not valid."""
    problems = [
        f"{where}.{name}: no such field; nearest valid: {nearest(name, known)}"
        for name in given
        if name not in known
    ]
    for name, field in known.items():
        if name not in given:
            problems += [f"{where}.{name}: missing; {field.valid}"] if field.required else []
        elif not field.holds(given[name]):
            problems.append(f"{where}.{name}: {given[name]!r} is not valid; {field.valid}")
    return problems


def read_fields(given: Mapping[str, Any], known: Mapping[str, Field]) -> dict[str, Any]:
    """Return the arguments of an entry that fields without mistakes stand for."""
    return {name: known[name].read(value) for name, value in given.items()}


def write_fields(entry: DataclassInstance, known: Mapping[str, Field]) -> dict[str, Any]:
    """Return the fields that stand for an entry, the description first; defaults go without saying."""
    told = told_of(entry)
    names = sorted(filter(known.__contains__, told), key=lambda name: name != "description")
    return {name: known[name].write(told[name]) for name in names}


def told_of(entry: DataclassInstance) -> dict[str, Any]:
    """Return the values of a dataclass that are not its defaults, by name."""
    values = {field: getattr(entry, field.name) for field in fields(entry)}
    return {field.name: value for field, value in values.items() if value != field.default}


def integer(value: object) -> TypeGuard[int]:
    """Tell whether this is a whole number; TOML's true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def positive(value: object) -> bool:
    """Tell whether this is a whole number above 0."""
    return integer(value) and value > 0


def finite(value: object) -> bool:
    """Tell whether this is a number that a float can hold, neither infinite nor undefined."""
    return isinstance(value, int | float) and abs(value) < sys.float_info.max


def texts(value: object) -> bool:
    """Tell whether this is a list of at least one text, none of them empty."""
    return isinstance(value, list) and bool(value) and all(isinstance(v, str) and v for v in value)


def matches(pattern: re.Pattern[str]) -> Callable[[object], bool]:
    """Return the predicate that is true of texts of a pattern."""
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def text(value: object) -> bool:
    """Tell whether this is a text that is not empty."""
    return isinstance(value, str) and bool(value)


CLASS_NAMES = Field(
    lambda v: texts(v) and len(set(v)) == len(v) >= 2,
    "a list of at least two different names",
    required=False,
    read=tuple,
    write=list,
)
"""Of a data set, and of a network's head: what classes are called, by index."""
