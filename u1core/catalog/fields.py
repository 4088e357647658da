"""What a field of a catalog entry may hold: a predicate, and the sentence that says it."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard


def nearest(name: str, valid: Iterable[str], n: int = 3) -> str:
    """Name the valid names nearest to a wrong one, or the first few where none is near."""
    names = list(valid)
    return ", ".join(difflib.get_close_matches(name, names, n, cutoff=0.5) or names[:8])


@dataclass(frozen=True)
class Check:
    """What one field must hold, and the sentence that says so."""

    holds: Callable[[Any], bool]
    valid: str
    required: bool = True


def field_problems(where: str, fields: Mapping[str, Any], checks: Mapping[str, Check]) -> list[str]:
    """List the mistakes of one entry field by field: unknown, missing, not valid."""
    problems = [
        f"{where}.{name}: no such field; nearest valid: {nearest(name, checks)}"
        for name in fields
        if name not in checks
    ]
    for name, check in checks.items():
        if name not in fields:
            problems += [f"{where}.{name}: missing; {check.valid}"] if check.required else []
        elif not check.holds(fields[name]):
            problems.append(f"{where}.{name}: {fields[name]!r} is not valid; {check.valid}")
    return problems


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
