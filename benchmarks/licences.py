"""docs/licences.md: the licence of every package of the lock file, as its own metadata names it.

make licences
"""

from __future__ import annotations

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEAD = """\
# Licences

What the packages of requirements/lock.txt say of themselves; written by `make licences`. Nothing of them is
in this repository. Packages for other systems than the one that wrote this list are named without a licence.

| package | version | licence |
|---|---|---|
"""


def licence_of(found: Distribution) -> str:
    meta = found.metadata
    if expression := meta.get("License-Expression"):
        return expression
    named = [c.rpartition(" :: ")[2] for c in meta.get_all("Classifier", []) if c.startswith("License :: ")]
    named = [name for name in named if name != "OSI Approved"]
    lines = (meta.get("License") or "").strip().splitlines()
    return ", ".join(named) or (lines[0] if lines else "not said")


def row(name: str, version: str) -> str:
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return f"| {name} | {version} | not installed here |"
    return f"| {name} | {found.version} | {licence_of(found).replace('|', '/')} |"


def main() -> None:
    lock = (ROOT / "requirements" / "lock.txt").read_text(encoding="utf-8")
    pinned = re.findall(r"^([a-z0-9][\w.-]*)==([\w.+!-]+)", lock, re.M)
    rows = [row(name, version) for name, version in sorted(dict.fromkeys(pinned))]
    (ROOT / "docs" / "licences.md").write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
