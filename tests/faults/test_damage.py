"""Files of a lake that rot: found by `u1 verify`, taken out, and computed anew as they were."""

import random

import pytest
from struck import SWEEP, Holding, rows_written, tell

from u1core.lake.store import key_of

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]


def flip_a_bit(path, draw):
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def truncate(path, draw):
    path.write_bytes(path.read_bytes()[: draw.randrange(path.stat().st_size)])


@pytest.mark.parametrize(
    ("damage", "told"),
    [(flip_a_bit, "a bit flipped in a lake file"), (truncate, "a lake file truncated")],
)
def test_damage_is_found_and_mended(finish, undisturbed, tmp_path, damage, told):
    assert finish(*SWEEP)[0] == 0
    lake, draw = tmp_path / "lake", random.Random(damage.__name__)
    tables = ("records", "vectors", "angles", "frames", "energy_maps", "neighbours")
    files = sorted(path for table in tables for path in (lake / table).rglob("*.parquet"))
    files = [path for path in files if key_of(path.name) == key_of(files[0].name)]
    for path in draw.sample(files, 3):
        damage(path, draw)
    status, _, errors = finish("verify")
    assert status == 1
    assert errors.count("u1: damaged: ") == 3
    assert "Traceback" not in errors
    assert finish("verify", "--drop")[0] == 0
    before = rows_written(lake)
    status, _, errors = finish(*SWEEP)
    assert status == 0, errors
    assert finish("verify")[0] == 0
    held = Holding.of(lake)
    tell(f"{told}, `u1 verify --drop`", 3, before, held.rows, held.differing(undisturbed))
