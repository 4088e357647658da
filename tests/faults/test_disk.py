"""A disk that is full in the middle of a write, and one that can only be read."""

import shutil
import subprocess

import pytest
from struck import SWEEP, Holding, rows_written, tell


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own for the lake; return what mounts it again with other options."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options):
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True
        )
        if done.returncode:
            pytest.skip(f"no right to mount a file system: {done.stderr.strip()}")

    mount("size=64m")
    yield mount
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_is_one_line_and_room_is_enough(finish, disk, undisturbed, undisturbed_lake, tmp_path):
    lake = tmp_path / "disk" / "lake"
    whole = sum(path.stat().st_size for path in undisturbed_lake.rglob("*.parquet"))
    disk(f"remount,size={whole // 2}")
    status, _, errors = finish(*SWEEP, "--lake", lake)
    assert status == 1
    last = errors.splitlines()[-1]
    assert last.startswith("u1: expected room on the lake's disk; got a full one: 0 MB free at")
    assert "make room and run the same command again: what is written is kept" in last
    assert "Traceback" not in errors
    before = rows_written(lake)
    assert before < undisturbed.rows
    disk("remount,size=64m")
    status, _, errors = finish(*SWEEP, "--lake", lake)
    assert status == 0, errors
    held = Holding.of(lake)
    tell("the disk full in the middle of a write", 1, before, held.rows, held.differing(undisturbed))


def test_a_lake_that_can_only_be_read_answers(finish, disk, undisturbed, undisturbed_lake, tmp_path):
    lake = tmp_path / "disk" / "lake"
    shutil.copytree(undisturbed_lake, lake)
    disk("remount,ro")
    status, _, errors = finish(*SWEEP, "--lake", lake)
    (line,) = errors.splitlines()
    assert (status, line.startswith(f"u1: expected a writable lake at {lake}; got ")) == (1, True)
    status, said, errors = finish("sql", "select count(*) from records", "--lake", lake, "--format", "csv")
    assert (status, said.split()[-1]) == (0, str(undisturbed.rows)), errors
    status, said, errors = finish("plan", *SWEEP[1:], "--lake", lake)
    assert (status, said.count(" done ")) == (0, 2), errors
    status, _, errors = finish("report", "--lake", lake, "--report", tmp_path / "elsewhere")
    assert status == 0, errors
    assert (tmp_path / "elsewhere" / "index.html").stat().st_size > 10_000
    held = Holding.of(lake)
    tell("a lake that can only be read", 1, undisturbed.rows, held.rows, held.differing(undisturbed))
