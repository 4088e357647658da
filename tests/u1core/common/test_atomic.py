"""Files and folders that are there whole or not at all."""

import os
import stat

import pytest

from u1core.common import atomic


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("is_lasting", [True, False])
def test_a_text_takes_the_place_of_an_older_one(tmp_path, is_lasting):
    target = tmp_path / "page.html"
    for text in ("", "é 鳥\n"):
        atomic.write_text(target, text, is_lasting=is_lasting)
        assert target.read_bytes() == text.encode()
        assert names(tmp_path) == ["page.html"]


def test_others_may_read_what_the_umask_lets_them(tmp_path):
    before = os.umask(0o022)
    try:
        atomic.write_text(tmp_path / "page.html", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "page.html").stat().st_mode) == 0o644


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_error_leaves_the_older_file_and_no_trace(tmp_path, error):
    target = tmp_path / "page.html"
    target.write_text("old")
    with pytest.raises(error), atomic.replacing(target) as path:
        path.write_text("half")
        assert target.read_text() == "old"
        assert names(tmp_path) == sorted(["page.html", path.name])
        raise error
    assert target.read_text() == "old"
    assert names(tmp_path) == ["page.html"]


def test_a_disk_that_refuses_is_told_and_leaves_no_trace(tmp_path, monkeypatch):
    target = tmp_path / "page.html"
    target.write_text("old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        atomic.write_text(target, "new")
    assert target.read_text() == "old"
    assert names(tmp_path) == ["page.html"]


def test_the_name_is_given_after_the_bytes_are_on_the_disk(tmp_path, monkeypatch):
    target, seen = tmp_path / "page.html", []
    monkeypatch.setattr(atomic, "bring_to_disk", lambda path: seen.append((path, target.exists())))
    draft = atomic.Draft(target)
    draft.path.write_text("text")
    draft.keep()
    assert seen == [(draft.path, False), (tmp_path, True)]
    seen.clear()
    atomic.write_text(target, "again", is_lasting=False)
    assert seen == []


def test_a_draft_lies_in_the_folder_it_is_given_and_is_known_by_its_name(tmp_path):
    work = tmp_path / ".work"
    work.mkdir()
    draft = atomic.Draft(tmp_path / "1.parquet", work)
    assert draft.path.parent == work
    assert draft.path.name.endswith(atomic.SUFFIX)
    draft.path.write_bytes(b"rows")
    assert list(tmp_path.glob("*.parquet")) == []
    draft.keep()
    draft.discard()
    assert (tmp_path / "1.parquet").read_bytes() == b"rows"
    assert names(work) == []


def test_two_writers_do_not_meet_in_one_temporary_file(tmp_path):
    target = tmp_path / "page.html"
    with atomic.replacing(target) as first, atomic.replacing(target) as second:
        assert first != second
        first.write_text("one")
        second.write_text("two")
    assert target.read_text() == "one"  # left last
    assert names(tmp_path) == ["page.html"]


def test_the_first_finished_folder_stays(tmp_path):
    for number in ("1", "2"):
        ready = tmp_path / f"ready-{number}"
        ready.mkdir()
        (ready / "meta.json").write_text(number)
        atomic.publish_folder(ready, tmp_path / "cache")
    assert (tmp_path / "cache" / "meta.json").read_text() == "1"
    assert names(tmp_path) == ["cache", "ready-2"]
    with pytest.raises(FileNotFoundError):
        atomic.publish_folder(tmp_path / "missing", tmp_path / "other")


def test_a_link_stays_one_and_a_draft_says_whose_it_is(tmp_path):
    (tmp_path / "real").mkdir()
    link = tmp_path / "digest.md"
    link.symlink_to(tmp_path / "real" / "digest.md")
    with atomic.replacing(link) as path:
        assert path.parent == tmp_path / "real"
        assert path.name.startswith(".digest.md.") and path.name.endswith(atomic.SUFFIX)
        path.write_text("text")
    assert link.is_symlink() and (tmp_path / "real" / "digest.md").read_text() == "text"
