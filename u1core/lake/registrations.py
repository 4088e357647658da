"""What a sweep is going to compute, and by which rules it will be judged, written down before it runs.

View `registered_cells` tells of which cells that is so. A registration proves what this lake saw, in the
order of its own clock: whoever has to convince others publishes its key, which is a hash of all it says.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any

from u1core.lake import index
from u1core.lake.store import CellId, Lake, RegistrationId, key_of
from u1core.lake.views import rules_sha256

TABLE = "registrations"


@dataclass(frozen=True)
class Registration:
    """A registered plan.

    Attributes:
        key: Hash of its rules, cells, seeds, request and version.
        registered_at: When, by this lake's clock.
        rules_sha256: Of the SQL that decides verdicts.
        is_new: Whether it was written now; else a plan of the same content was known.
    """

    key: str
    registered_at: datetime
    rules_sha256: str
    is_new: bool


def register(
    lake: Lake, cells: Sequence[CellId], seeds: Sequence[int], request: Mapping[str, Any]
) -> Registration:
    """Write a plan down, once; the caller is the lake's only writer.

    Args:
        lake: The lake that the cells will be in.
        cells: Those planned.
        seeds: Of random weights among them.
        request: The options that decide which cells these are.

    Raises:
        U1Error: The lake can't be read or written.
    """
    content = {
        "rules_sha256": rules_sha256(),
        "cell_keys": [cell.key for cell in cells],
        "cell_names": [f"{cell.model} x {cell.dataset} x {cell.variant}" for cell in cells],
        "seeds": list(seeds),
        "request": json.dumps(request, sort_keys=True),
        "u1sweep_version": version("u1sweep"),
    }
    key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    known = [name for name in lake.storage.names(TABLE) if key_of(name) == key]
    if known:
        (row,) = index.read_files(lake.storage, known)
        return Registration(key, row["registered_at"], row["rules_sha256"], is_new=False)
    committed = [row["committed_at"] for row in lake.cells().values() if row["committed_at"]]
    registration = RegistrationId.now(key, committed)
    lake.write(TABLE, registration, {name: [value] for name, value in content.items()})
    return Registration(key, registration.registered_at, rules_sha256(), is_new=True)
