"""Text of others made fit to show: names steer no terminal and no page, messages tell no secret."""

from __future__ import annotations

import os
import re
import unicodedata

_JOINERS = "\u200c\u200d"
"""Format characters that Persian, Indic scripts and emoji are written with; they move nothing."""

_PASSWORD = re.compile(r"(?<=://)(?:[^\s/@'\"]*:[^\s'\"]*|[^\s/@'\"]+)@")
_PARAMETER = re.compile(
    r"((?:access_key|secret_key|passw(?:or)?d|token|signature|credential)[\w-]*=)[^\s&'\"]+", re.I
)
_SECRET = re.compile(r"(?:KEY|KEY_ID|TOKEN|SECRET|PASSWORD)\Z")
_MIN_SECRET = 8
_MARKUP = re.compile(r"[\\`*_{}\[\]<>#|~&!]")


def printable(text: str, keep: str = "") -> str:
    r"""Escape what is no visible character: control characters, line ends, overrides of the direction.

    Args:
        text: Any text.
        keep: Characters that stay all the same, such as line ends.

    Example:
        >>> printable("\x1b[2Jcat")
        '\\x1b[2Jcat'
    """
    if text.isprintable():
        return text
    return "".join(c if _is_visible(c) or c in keep else _escaped(c) for c in text)


def _is_visible(character: str) -> bool:
    return character.isprintable() or character in _JOINERS or unicodedata.category(character) == "Zs"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def masked(text: str) -> str:
    """Hide passwords in addresses, parameters that carry keys, and the keys and tokens of this environment.

    Example:
        >>> masked("postgresql://me:secret@db.example.org/prefect")
        'postgresql://***@db.example.org/prefect'
    """
    for name, value in os.environ.items():
        if len(value) >= _MIN_SECRET and _SECRET.search(name):
            text = text.replace(value, "***")
    return _PARAMETER.sub(r"\1***", _PASSWORD.sub("***@", text))


def harmless(text: str) -> str:
    """Return a message as one line that can be shown and stored anywhere."""
    return masked(printable(" ".join(text.split())))


def as_markdown(text: str) -> str:
    """Return text for one place of a Markdown table: shown as it is, no tag, link or column of its own."""
    return _MARKUP.sub(r"\\\g<0>", harmless(text))
