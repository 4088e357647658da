"""What the splits of a data set are called outside: one list of words for folders, files and columns."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

MEMORY_NAMES = ("memory", "train", "training")
QUERY_NAMES = ("query", "test", "testing", "validation", "valid", "val", "dev", "eval", "evaluation")
"""What the splits are called outside, the preferred name first; in any case, and see `_ADDED`."""

USUAL = "memory, train, query, test, validation or another usual word"

_ADDED = re.compile(r"(?<=[a-z])[-_. ]*((set|split|data|images|imgs)|(19|20)\d\d)\Z")
"""What stands behind such a word and changes nothing: training_set, testset, val2017."""


def split_word(text: str) -> str:
    """Return the name of a split that a text is another spelling of; '' where it is none.

    Example:
        >>> split_word("Training_Set"), split_word("trainers")
        ('training', '')
    """
    word = unicodedata.normalize("NFKC", text).strip().casefold()
    word = _ADDED.sub("", word)
    return word if word in (*MEMORY_NAMES, *QUERY_NAMES) else ""


def split_in(text: str) -> str:
    """Return the name of the split that a file's or folder's name speaks of; '' for none, or for two.

    Its first word decides; else the only word that is a split's.

    Example:
        >>> split_in("train-00000-of-00002.parquet"), split_in("cifar10_Test.parquet")
        ('train', 'test')
    """
    found = [split_word(word) for word in re.split(r"[-_.\s]+", text)]
    if found[0]:
        return found[0]
    distinct = set(filter(None, found))
    return distinct.pop() if len(distinct) == 1 else ""


def is_query_word(word: str) -> bool:
    """Tell whether a name of a split is one of the query split."""
    return word in QUERY_NAMES


def pick_splits(found: Collection[str]) -> tuple[str, str] | None:
    """Choose the names of the memory and the query split among those found; None without either."""
    memory = [name for name in MEMORY_NAMES if name in found]
    query = [name for name in QUERY_NAMES if name in found]
    return (memory[0], query[0]) if memory and query else None
