"""`u1 verify` and `u1 gc`: a lake proven, and cleared."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from u1core.common.errors import U1Error
from u1core.lake.orphans import KINDS, Orphan, find_orphans, remove_orphans
from u1core.lake.store import Lake
from u1core.lake.verify import Damage, drop, verify


def print_damage(address: str, out: Console, err: Console, *, take_out: bool) -> list[Damage]:
    """Verify a lake and print what is damaged; return it, unless it was taken out."""
    lake = Lake.open(address)
    damaged = _verify(lake, err)
    for damage in damaged:
        err.print(f"u1: damaged: {damage.name}: {damage.reason}", highlight=False, markup=False)
    keys = {damage.key for damage in damaged}
    if not damaged:
        done = sum(row["status"] == "done" for row in lake.cells().values())
        out.print(f"{lake.root}: {done} cells as they were committed", highlight=False, markup=False)
        return []
    if take_out:
        files = drop(lake, keys)
        out.print(f"{len(keys)} cells or runs taken out, {files} files; sweep again", highlight=False)
        return []
    err.print(
        f"u1: {len(keys)} cells or runs are damaged; `u1 verify --drop` takes them out", highlight=False
    )
    return damaged


def _verify(lake: Lake, err: Console) -> list[Damage]:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as bars:
        bar = bars.add_task("verify", total=None)
        return verify(lake, lambda done, total: bars.update(bar, completed=done, total=total))


def print_orphans(address: str, remove: str, out: Console) -> None:
    """Print what lies in a lake and no view shows, and remove the kinds that are named."""
    kinds = [kind.strip() for kind in remove.split(",") if kind.strip()]
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise U1Error(f"--remove from {', '.join(KINDS)}", repr(", ".join(unknown)), "name some of them")
    lake = Lake.open(address)
    found = remove_orphans(lake, kinds) if kinds else find_orphans(lake)
    table = Table("kind", "what", "files", "MB", "days old", title="removed" if kinds else str(lake.root))
    for orphan in found:
        table.add_row(*_columns(orphan))
    out.print(table)
    megabytes = sum(orphan.size for orphan in found) / 1e6
    out.print(f"{len(found)} orphans, {megabytes:.1f} MB{' removed' if kinds else ''}", highlight=False)
    if not kinds:
        for kind, meaning in KINDS.items():
            out.print(f"  --remove {kind}: {meaning}", highlight=False)


def _columns(orphan: Orphan) -> tuple[str, ...]:
    days = (datetime.now(UTC) - orphan.modified).total_seconds() / 86400
    return orphan.kind, orphan.name, str(orphan.files), f"{orphan.size / 1e6:.1f}", f"{days:.1f}"
