"""Where a lake lies changes no answer: names above its root steer nothing, or are refused before any work."""

import os
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from u1core.common.errors import U1Error
from u1core.lake import index
from u1core.lake.connect import connect
from u1core.lake.guard import run_query
from u1core.lake.schema import SCHEMAS
from u1core.lake.storage import resolve_address
from u1core.lake.store import CellId, Lake

CELLS = [CellId("k1", "digits", "net", "original"), CellId("k2", "007", "pixels", "hflip")]
ASKED = "select cell_key, dataset, model, variant, layer, image_id from records order by all"
ANSWER = [(*cell.columns.values(), "conv.1", i) for cell in CELLS for i in (1, 2)]
COMMITTED = "select cell_key, dataset, model, variant, status from cells order by all"

KEYS = sorted({name for schema in SCHEMAS.values() for name in schema.names} | {"year", "a b"})
STEERING = st.builds("{}={}".format, st.sampled_from(KEYS), st.sampled_from(["", "vgg", "1", "%41", "null"]))
ODD = st.text(
    st.sampled_from("abA01 =%#?*[]!{}'\"~$;:,&|<>()-.\t\n\u00e9\u0301\u65e5"), min_size=1, max_size=12
)
NAMES = (STEERING | ODD).filter(lambda name: name not in (".", ".."))


def make_lake(root):
    lake = Lake.open(root, create=True)
    for cell in CELLS:
        lake.write("records", cell, {"image_id": [1, 2]}, layer="conv.1")
        lake.commit(cell, {"status": "done"})
    return lake


def asked(root, *queries):
    """Return the rows of each query as tuples; of one, those alone."""
    with connect(root, ["records", "cells"]) as connection:
        answers = [run_query(connection, query).to_pylist() for query in queries]
    rows = [[tuple(row.values()) for row in answer] for answer in answers]
    return rows if len(queries) > 1 else rows[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("roots")


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(names=st.lists(NAMES, min_size=1, max_size=3), is_link=st.booleans())
@example(names=["model=vgg", "dataset=foo", "variant=__HIVE_DEFAULT_PARTITION__"], is_link=False)
@example(names=["layer=conv9", "cell_key=k", "status=failed"], is_link=True)
@example(names=["[a]", "**", "lake=?"], is_link=False)
def test_a_lake_gives_the_same_answers_wherever_it_lies(folder, names, is_link):
    root = folder.joinpath(*names, "lake")
    if not root.exists():
        make_lake(root)
    if is_link:
        link = Path(tempfile.mkdtemp(dir=folder), "image_id=7")
        link.symlink_to(root)
        root = link
    some = ASKED.replace("order", "where dataset = 'digits' and model = 'net' order")
    committed = [(*cell.columns.values(), "done") for cell in CELLS]
    assert asked(root, ASKED, some, COMMITTED) == [ANSWER, ANSWER[:2], committed]
    assert set(Lake.open(root).cells()) == {"k1", "k2"}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(layer=st.text(min_size=1, max_size=3) | NAMES, model=st.sampled_from(["net", "null", "NULL", "nulls"]))
@example(layer="blocks/0", model="net")
@example(layer="50%41", model="net")
@example(layer="__HIVE_DEFAULT_PARTITION__", model="null")
@example(layer="Null", model="NULL")
def test_a_layer_is_called_what_its_network_calls_it(folder, layer, model):
    """Names of modules are free: `nn.ModuleDict({"a/b": ..., "50%41": ...})`."""
    root, cell = Path(tempfile.mkdtemp(dir=folder)), CellId("k1", "digits", model, "original")
    lake = Lake.open(root, create=True)
    names = sorted({layer, "conv.1", f"{layer}/2"})
    for number, name in enumerate(names):
        lake.write("records", cell, {"image_id": [number]}, layer=name)
        assert lake.parts("records", cell, layer=name) == [0]
    lake.commit(cell, {"status": "done"})
    assert sorted(asked(root, ASKED)) == [
        (*cell.columns.values(), name, number) for number, name in enumerate(names)
    ]
    assert asked(root, f"select count(*) from records where model = '{model}'") == [(len(names),)]


@pytest.mark.parametrize("above", ["plain", "dataset=foo/model=vgg"])
def test_the_index_of_cells_is_read_by_its_columns(tmp_path, monkeypatch, above):
    monkeypatch.setattr(index, "_NEW_FILES", 2)
    root = tmp_path / above / "lake"
    lake = make_lake(root)
    for path in root.glob("cells/**/*.parquet"):
        os.utime(path, (1.7e9, 1.7e9))  # settled long ago
    lake.cells()
    assert (root / index.INDEX).exists()
    new = CellId("k3", "digits", "late", "original")
    lake.commit(new, {"status": "done"})
    expected = [(*cell.columns.values(), "done") for cell in (*CELLS, new)]
    assert asked(root, COMMITTED) == expected


def test_a_table_that_is_a_link_into_a_steering_folder_is_read(tmp_path):
    root = tmp_path / "lake"
    make_lake(root)
    elsewhere = tmp_path / "model=vgg" / "records"
    elsewhere.parent.mkdir()
    (root / "records").rename(elsewhere)
    (root / "records").symlink_to(elsewhere)
    assert asked(root, ASKED) == ANSWER


LONG = "a" * 255
REFUSED = {
    "a\\b": "with a backslash in it",
    "a\udcffb": r"a\\xffb, with bytes that are no UTF-8 in it",
    "a\0b": "with a zero byte in it",
    "b" * 256: "with [0-9]+ bytes; name another folder, or a link to this one",
    "/".join([LONG] * 12): "with [0-9]+ bytes",
}


@pytest.mark.parametrize(("name", "said"), REFUSED.items())
def test_a_root_that_no_reader_takes_is_refused_before_any_work(tmp_path, name, said):
    for use in (Lake, Lake.open, Lake.find, connect):
        with pytest.raises(U1Error, match=said) as raised:
            use(tmp_path / name)
        assert "\n" not in str(raised.value)
        assert len(str(raised.value)) < 600
    assert list(tmp_path.iterdir()) == []


def test_the_longest_root_has_room_for_the_longest_names(tmp_path):
    room = 3000 - len(os.fsencode(tmp_path)) - 1
    root = tmp_path.joinpath(*(["a" * 199] * (room // 200)), "b" * max(room % 200 - 1, 1))
    assert 2990 <= len(os.fsencode(root)) <= 3000
    longest = CellId("0" * 64, "d" * 200, "m" * 200, "channel-permuted")
    lake = Lake.open(root, create=True)
    lake.write("neighbours", longest, {"image_id": [1]}, layer="l" * 200, part=99999)
    lake.commit(longest, {"status": "done"})
    assert asked(root, "select dataset, model, layer from lake.neighbours") == [
        ("d" * 200, "m" * 200, "l" * 200)
    ]


def test_a_link_stands_for_a_folder_whose_name_no_reader_takes(tmp_path):
    hidden = tmp_path / "a\\b"
    hidden.mkdir()
    (tmp_path / "link").symlink_to(hidden)
    make_lake(tmp_path / "link")
    assert asked(tmp_path / "link", ASKED) == ANSWER


def test_a_file_uri_names_its_path(tmp_path):
    assert resolve_address(f"file://{tmp_path}/a%20b%23%3F") == tmp_path / "a b#?"
    assert resolve_address(f"file://localhost{tmp_path}/a") == tmp_path / "a"
    for wrong in ("file:///a#b", "file:///a?b", "file://host/a"):
        with pytest.raises(U1Error, match="a folder of this machine"):
            resolve_address(wrong)


def test_the_keys_of_a_file_are_its_own(tmp_path):
    """Whatever the folders are called, the columns of a committed file are what was written."""
    lake = make_lake(tmp_path / "lake")
    table = pq.ParquetFile(lake.path("records", CELLS[1], layer="conv.1")).read(["dataset", "model", "layer"])
    assert table == pa.table({"dataset": ["007"] * 2, "model": ["pixels"] * 2, "layer": ["conv.1"] * 2})
    assert Path(lake.root).is_absolute()
