"""One writer at a time on an object store, which has no locks: claims that are renewed.

Who wants to write puts a claim and then lists all claims. Listings of S3 show every completed put, so of two
that come together at least one sees the other, and who sees a living claim gives way. A claim that nobody has
renewed for `LEASE_S` is dead, and removed by whoever comes next.

What this does not guarantee: a writer that stands still for longer than `LEASE_S` (a suspended machine, a
store that does not answer) can be taken for dead and go on later. Then two sweeps may write the same cells:
the same bytes under the same names, so time is lost and no row.
"""

from __future__ import annotations

import json
import os
import random
import socket
import threading
import time
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Protocol, Self

from u1core.common.errors import TakenError

LEASE_S = 40.0
"""After so long without renewal a claim is dead."""

RENEW_S = 8.0
"""How often a claim is renewed."""

_TRIES = 4


class Objects(Protocol):
    """What a lease asks of a store (`u1core.lake.storage` has them)."""

    @property
    def address(self) -> object:
        """Where the store is."""

    def names(self, folder: str) -> Iterable[str]:
        """List what a folder holds."""

    def modified(self, folder: str) -> Mapping[str, datetime]:
        """Say when each object of a folder was written, by the store's clock."""

    def read(self, name: str) -> bytes | None:
        """Return an object's bytes; None where there is none."""

    def write(self, name: str, content: bytes) -> None:
        """Write an object whole."""

    def delete(self, name: str) -> None:
        """Remove an object, if it is there."""


class Lease:
    """A claim on a lake, renewed by a thread while the context lasts.

    Raises:
        U1Error: Somebody else holds the lake; said after the claim was seen to be renewed.
    """

    def __init__(
        self, storage: Objects, folder: str, lease_s: float = LEASE_S, renew_s: float = RENEW_S
    ) -> None:
        self._storage, self._folder = storage, folder
        self._lease_s, self._renew_s = lease_s, renew_s
        self._claim = f"{folder}/{uuid.uuid4().hex}.json"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="u1-lease", daemon=True)

    def __enter__(self) -> Self:
        for _ in range(_TRIES):
            self._wait_for_the_dead()
            self._put()
            if not self._rivals():
                self._thread.start()
                return self
            # Two came together and both give way: the next time they differ.
            self._storage.delete(self._claim)
            time.sleep(random.uniform(0, self._renew_s))
        raise self._taken(next(iter(self._rivals()), self._claim))

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()
        self._storage.delete(self._claim)

    def _put(self) -> None:
        owner = {"host": socket.gethostname(), "pid": os.getpid(), "renewed": time.time()}
        self._storage.write(self._claim, json.dumps(owner).encode())

    def _renew(self) -> None:
        while not self._stop.wait(self._renew_s):
            # The store may be away for a moment; the next renewal comes soon.
            with suppress(OSError):
                self._put()

    def _rivals(self) -> list[str]:
        return [name for name in self._storage.names(self._folder) if name != self._claim]

    def _wait_for_the_dead(self) -> None:
        """Return once no claim is left, removing those that stay unrenewed; machines' clocks play no part.

        Raises:
            U1Error: A claim was renewed while we looked.
        """
        first, start = self._storage.modified(self._folder), time.monotonic()
        if not first:
            return
        now = self._now()
        waiting = {n: t for n, t in first.items() if now - t < timedelta(seconds=self._lease_s)}
        while waiting and time.monotonic() - start < self._lease_s:
            time.sleep(min(1.0, self._renew_s / 4))
            seen = self._storage.modified(self._folder)
            if renewed := [name for name, t in waiting.items() if seen.get(name, t) != t]:
                raise self._taken(renewed[0])
            waiting = {name: t for name, t in waiting.items() if name in seen}
        for name in first:
            self._storage.delete(name)

    def _now(self) -> datetime:
        """Ask the store's own clock: the time of a fresh object."""
        probe = f"{self._folder}-clock/{uuid.uuid4().hex}"
        self._storage.write(probe, b"")
        now = self._storage.modified(f"{self._folder}-clock")[probe]
        self._storage.delete(probe)
        return now

    def _taken(self, claim: str) -> TakenError:
        owner = json.loads(self._storage.read(claim) or b"{}")
        got = f"one that is writing now (process {owner.get('pid')} on {owner.get('host')})"
        return TakenError(
            f"no other sweep on {self._storage.address}", got, "wait for it to end, or name another lake"
        )
