"""The network's own head on a data set's classes: matched by their names, never by their numbers.

Shapes: n images, C classes of the data set, K of the head.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from u1core.cells.cell import Cell
from u1core.images.sources.labels import distinct_names
from u1core.images.sources.listing import Labels
from u1core.networks.head import head_width, vocabularies

NO_CLASS = -1


@dataclass(frozen=True)
class OwnHead:
    """Which class of the head each class of the data set is: (C,), -1 where the head has none."""

    indices: Labels
    width: int

    @classmethod
    def of(cls, cell: Cell, class_names: Sequence[str]) -> OwnHead | None:
        """Match a cell's head with the classes of its data set; None where no class is the head's.

        Without names for the head's classes, their numbers are those of the data set that the label space is
        called by, if it has as many.
        """
        if not cell.head_matches or (width := head_width(cell.model)) is None:
            return None
        if known := vocabularies(cell.model):
            known = tuple(names for names in known if len(names) == width)
            indices = _agreed([match_names(class_names, names) for names in known], len(class_names))
        elif cell.dataset.id == cell.model.label_space and len(class_names) == width:
            indices = np.arange(width)
        else:
            return None
        return cls(indices, width) if (indices != NO_CLASS).any() else None

    @cached_property
    def labels(self) -> Labels:
        """The data set's label of every class of the head, (K,), -1 where it has none."""
        labels = np.full(self.width, NO_CLASS)
        known = np.flatnonzero(self.indices != NO_CLASS)
        labels[self.indices[known]] = known
        return labels

    def columns(self, predicted: Labels, label: Labels) -> dict[str, Any]:
        """Return the columns that score the head's answers (n,) on images of classes (n,).

        Images of a class that the head does not have are not scored. Where the head has classes that the data
        set lacks, not every answer has a label: then `head_correct` alone says how the head did.
        """
        answered, is_scored = self.labels[predicted], self.indices[label] != NO_CLASS
        columns = {"head_correct": _masked(answered == label, is_scored)}
        if (self.labels != NO_CLASS).all():
            columns["head_label"] = _masked(answered, is_scored)
        return columns


def match_names(classes: Sequence[str], head: Sequence[str]) -> Labels:
    """Find every class among those of a head: by the very name, by its words, by one of its alternatives.

    Case, underscores, hyphens and Unicode forms make no difference to words; commas and slashes part
    alternatives ('T-shirt/top'). What fits two classes, or is taken by a better fit, is not matched.

    Args:
        classes: C names.
        head: K names.

    Returns:
        Indices into `head`, (C,), -1 for none.

    Example:
        >>> match_names(["frog", "Polar_bear", "emu"], ["polar bear", "frog"])
        array([ 1,  0, -1])
    """
    found = np.full(len(classes), NO_CLASS)
    ours, theirs = distinct_names(classes), distinct_names(head)
    for forms in (_very_name, _words, _alternatives):
        places = _places(theirs, forms)
        fits = {
            place: {index for form in forms(name) for index in places.get(form, ())}
            for place, name in enumerate(ours)
            if found[place] == NO_CLASS
        }
        claims = Counter(index for fitting in fits.values() for index in fitting)
        for place, fitting in fits.items():
            (index, *more) = fitting or (NO_CLASS,)
            if not more and claims[index] == 1 and index not in found:
                found[place] = index
    return found


def _agreed(matches: Sequence[Labels], classes: int) -> Labels:
    """Join what several vocabularies say: a class that two of them place otherwise is not matched."""
    best = np.max(matches, axis=0, initial=NO_CLASS) if matches else np.full(classes, NO_CLASS)
    differs = np.any([(m != NO_CLASS) & (m != best) for m in matches], axis=0) if matches else best > NO_CLASS
    twice = np.array([count > 1 for count in map(Counter(best.tolist()).__getitem__, best.tolist())])
    return np.where(differs | twice, NO_CLASS, best)


def _places(names: Sequence[str], forms: Callable[[str], Iterable[str]]) -> dict[str, Set[int]]:
    places: dict[str, set[int]] = {}
    for index, name in enumerate(names):
        for form in forms(name):
            places.setdefault(form, set()).add(index)
    return dict(places)


def _very_name(name: str) -> Set[str]:
    return {name}


def _words(name: str) -> Set[str]:
    folded = re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFC", name.casefold())).strip()
    return {folded} - {""}


def _alternatives(name: str) -> Set[str]:
    return {form for part in re.split(r"[,/]", name) for form in _words(part)}


def _masked(values: np.ndarray, is_known: np.ndarray) -> np.ndarray | pa.Array:
    return values if is_known.all() else pa.array(values, mask=~is_known)
