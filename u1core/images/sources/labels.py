"""What a label is: the class of a picture by number or by name, or none at all.

Shapes: n pictures, K classes.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal

import numpy as np

from u1core.images.sources.listing import UNLABELLED, Labels, SourceError

Label = int | str | None

_NO_NAME = ("", "nan", "<na>")
"""What tables write where a label is missing."""
_PLACEHOLDER = -1
_NUMERAL = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.0+)?")
_ONE_EACH = "one number or name per picture is needed"


def class_name(text: str) -> str:
    """Return the one spelling of a class's name: composed (NFC), and what UTF-8 can't hold escaped."""
    return unicodedata.normalize("NFC", text.encode("utf-8", "backslashreplace").decode())


def distinct_names(names: Iterable[object]) -> tuple[str, ...]:
    """Tell classes of one name apart by their label: ImageNet knows two kinds of crane."""
    given = [class_name(str(name)) for name in names]
    times = Counter(given)
    told = [f"{name} ({label})" if times[name] > 1 else name for label, name in enumerate(given)]
    if len(set(told)) < len(told):  # a name that ends like that already
        told = [f"{name} ({label})" for label, name in enumerate(given)]
    return tuple(told)


def as_label(value: object) -> Label:
    """Read a label as it stands in a table: a whole number, a name, or None for what is missing.

    Raises:
        SourceError: It is neither: a fraction, a list, a date.
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    if isinstance(value, str):
        name = class_name(value.strip())
        return None if name.casefold() in _NO_NAME else name
    if value is None:
        return None
    if not isinstance(value, int | float | Decimal | np.integer | np.floating):
        raise SourceError(f"a label of type {type(value).__name__}; {_ONE_EACH}")
    if math.isnan(value):
        return None
    if not math.isfinite(value) or value != int(value):
        raise SourceError(f"{value} as a label; {_ONE_EACH}, not a quantity")
    return int(value)


def settled(labels: Sequence[Label], names: Sequence[str] = ()) -> list[Label]:
    """Settle, over a whole data set, what no single label of a table can tell.

    A -1 stands for a hidden label and becomes None. It is a class where it is one of two, -1 and 1, or where
    other numbers are negative too; never where the classes have names by number. Labels that mean the same
    number become it: '1' and '1.0', or '1' and the 1 of another file.

    Args:
        labels: As `as_label` reads them, (n,).
        names: Of the classes, by number.

    Raises:
        SourceError: Some are numbers, others names, and no list of names says which is which.
    """
    numbers = _numbers(labels)
    values = {number for number in numbers if number is not None}
    texts = {label for label in labels if isinstance(label, str)}
    plain = {label for label in labels if isinstance(label, int)}
    if texts and plain and not values and not names:
        raise SourceError(f"labels that are numbers ({min(plain)}) and names ('{min(texts)}')")
    others = values - {_PLACEHOLDER}
    is_class = not names and (others == {1} or min(others, default=0) < 0)
    is_spelt_twice = bool(texts and values) and (bool(plain) or len(values) < len(texts))
    found: Sequence[Label] = numbers if is_spelt_twice and not names else labels
    if is_class:
        return list(found)
    return [None if n == _PLACEHOLDER else label for n, label in zip(numbers, found, strict=True)]


def number_labels(labels: Sequence[Label], names: tuple[str, ...] = ()) -> tuple[tuple[str, ...], Labels]:
    """Number the classes: by their names where those are given, else by sorted value.

    Args:
        labels: Settled ones, (n,).
        names: Of the classes, by number, different from each other.

    Returns:
        The classes' names, and the labels, (n,), -1 for None.

    Raises:
        SourceError: A label is none of the names.
    """
    keys: Sequence[Label] = _places(labels, names) if names else labels
    distinct = range(len(names)) if names else sorted({key for key in keys if key is not None})
    place = {key: number for number, key in enumerate(distinct)} | {None: UNLABELLED}
    found = np.array([place[key] for key in keys], dtype=np.int64)
    return names or tuple(map(str, distinct)), found


def _numbers(labels: Sequence[Label]) -> list[int | None]:
    """Read every label as a number; None where it is missing, and everywhere if one is a name."""
    texts = {label for label in labels if isinstance(label, str)}
    if not all(_NUMERAL.fullmatch(text) for text in texts):
        return [None] * len(labels)
    return [int(label.partition(".")[0]) if isinstance(label, str) else label for label in labels]


def _places(labels: Sequence[Label], names: tuple[str, ...]) -> Sequence[Label]:
    """Find the number of every label among the classes' names: numbers are it, names are looked up."""
    by_name = {name: number for number, name in enumerate(names)}
    texts = [label for label in labels if isinstance(label, str)]
    unknown = [text for text in texts if text not in by_name]
    numbers = _numbers(labels) if unknown else []
    if unknown and all(number is None for number in numbers):
        raise SourceError(f"a label '{unknown[0]}', but no class of that name among {', '.join(names[:8])}")
    found = numbers or [by_name[label] if isinstance(label, str) else label for label in labels]
    given = [number for number in found if number is not None]
    if given and not (min(given) >= 0 and max(given) < len(names)):
        raise SourceError(f"labels {min(given)} to {max(given)}, but {len(names)} class names")
    return found
