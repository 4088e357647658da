"""Paths as users write them: homes that are none, folders whose names look like globs."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from u1core.common.errors import U1Error
from u1core.common.paths import at_home, matching
from u1core.images.cache import default_cache

NAMES = st.text(st.sampled_from("ab[]*?!-. ={}\\"), min_size=1, max_size=6).filter(lambda n: n.strip(". "))


@given(name=NAMES, other=NAMES)
def test_a_folder_that_is_there_is_no_glob(tmp_path_factory, name, other):
    root = tmp_path_factory.mktemp("globs")
    for folder in {name, other}:
        (root / folder).mkdir()
        (root / folder / "1.parquet").touch()
    assert matching(root / name / "*.parquet") == [root / name / "1.parquet"]
    assert matching(root / name / "1.parquet") == [root / name / "1.parquet"]
    assert matching(root / name / "2.parquet") == []
    found = {"*"} if "*" in (name, other) else {name, other}
    assert matching(root / "*" / "1.parquet") == sorted(root / n / "1.parquet" for n in found)


def test_a_home_that_is_not_there_is_one_line(monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere")
    assert at_home("~/a") == Path("/somewhere/a")
    assert at_home("a") == Path("a")
    with pytest.raises(U1Error, match=r"a user with a home folder; got none for ~no-such-user/a; set HOME"):
        at_home("~no-such-user/a")

    def no_entry(_):
        raise KeyError("uid not found")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", no_entry)
    for name in ("U1_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(U1Error, match="U1_CACHE"):
        default_cache()
    monkeypatch.setenv("U1_CACHE", "/cache")
    assert default_cache() == Path("/cache")
