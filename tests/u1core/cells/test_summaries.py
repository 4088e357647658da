"""What a cell comes to, from its written rows: halves that no batch shows in, planes that have no angle."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from u1core.cells.open_cell import OpenCell
from u1core.cells.summaries import write_likeness, write_summaries
from u1core.images.cache import Images
from u1core.lake.store import CellId, Lake
from u1core.measures.pixel_grid import coordinates
from u1core.measures.shape import half_of

X, Y = coordinates(8, 8)
SOMBRERO = 5 - 4 * (X**2 + Y**2) + 3 * (X**2 + Y**2) ** 2


class Opened:
    """The rows of one layer of a cell, and what was written of it."""

    def __init__(self, maps, label, is_query, theta, size):
        split = np.where(is_query, "query", "memory")
        ids = np.arange(len(maps))
        values = pa.FixedSizeListArray.from_arrays(pa.array(maps.astype(np.float32).ravel()), maps[0].size)
        self.tables = {
            "vectors": pa.table({"image_id": ids, "split": split, "energy_map": values}),
            "angles": pa.table(
                {
                    "split": split,
                    "label": label,
                    "theta_image_rad": theta,
                    "theta_feature_rad": pa.nulls(len(ids), pa.float64()),
                }
            ),
            "frames": pa.table({"is_bottleneck": [True], "height": [size[0]], "width": [size[1]]}),
        }
        self.model = SimpleNamespace(layers=("last",), bottleneck="last")
        self.written = {}
        self.rows = 64

    def read(self, table, columns=None, *, layer=None, part=0):
        return self.tables[table].select(columns)

    def parts(self, table, *, layer=None):
        return [0]

    def batches(self, table, rows, columns, *, layer=None):
        whole = self.tables[table].select(columns)
        return (whole.slice(start, self.rows) for start in range(0, len(whole), self.rows))

    def write(self, table, columns, *, layer=None, part=0):
        self.written[table] = [
            dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
        ]


def cell(maps, theta=None):
    n = len(maps)
    label, is_query = np.arange(n) % 4, np.arange(n) >= n // 2
    theta = label * 1.5 - 2 if theta is None else theta
    return Opened(maps, label, is_query, theta, maps.shape[1:])


def test_shapes_of_both_halves_of_both_splits():
    gain = np.random.default_rng(0).uniform(0.5, 1.5, (400, 1, 1))
    opened = cell(SOMBRERO * gain)
    write_summaries(opened)
    rows = opened.written["shapes"]
    assert [(row["split"], row["half"]) for row in rows] == [
        (s, h) for s in ("memory", "query") for h in (0, 1)
    ]
    half = half_of(np.arange(400))
    counts = [(half[part] == h).sum() for part in (slice(200), slice(200, 400)) for h in (0, 1)]
    assert [row["n"] for row in rows] == counts
    radius = np.sqrt(X**2 + Y**2)
    ring = np.abs(radius - (2 / 3) ** 0.5).min() >= np.abs(radius - (2 / 3) ** 0.5) - 1e-9
    beyond = radius > radius[ring].max() + 1e-9
    rise = (SOMBRERO[beyond].mean() - SOMBRERO[ring].mean()) / SOMBRERO.mean()
    for row in rows:
        assert row["trough_radius"] == pytest.approx((2 / 3) ** 0.5, abs=1e-6)
        assert row["sombrero_r_squared"] > max(row["parabola_r_squared"], row["gaussian_r_squared"]) + 0.1
        assert row["rise"] == pytest.approx(rise, rel=1e-5)
        assert row["rise_se"] < 1e-6  # every map has the same shape: gains alone differ


def test_batches_do_not_show():
    maps = np.random.default_rng(1).uniform(1, 2, (300, 8, 8))
    written = []
    for rows in (300, 7):
        opened = cell(maps)
        opened.rows = rows
        write_summaries(opened)
        written.append(opened.written["shapes"])
    numbers = ("n", "sombrero_r_squared", "parabola_r_squared", "gaussian_r_squared")
    for one, other in zip(*written, strict=True):
        assert [one[name] for name in numbers] == pytest.approx([other[name] for name in numbers], rel=1e-9)


def test_constant_pictures_have_no_shape_and_one_pixel_has_no_trough():
    for maps in (np.full((40, 8, 8), 0.3), np.ones((40, 1, 1))):
        opened = cell(maps)
        write_summaries(opened)
        assert {
            (row["is_flat"], row["sombrero_r_squared"], row["rise"]) for row in opened.written["shapes"]
        } == {(True, None, None)}


def test_bits_by_plane_where_one_has_no_angles():
    opened = cell(np.ones((800, 8, 8)))
    write_summaries(opened)
    image, feature = opened.written["theta_bits"]
    assert (image["plane"], image["n"], image["classes"]) == ("image", 400, 4)
    assert image["bits"] == pytest.approx(2, abs=0.03)
    assert (feature["plane"], feature["n"], feature["bits"]) == ("feature", 0, None)


def test_the_likeness_of_pictures_is_kept_by_their_ids(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), dtype=np.uint8)
    pixels[4] = pixels[1]
    is_query = np.arange(6) >= 3
    images = Images(pixels, np.array([0, 1, 0, 1, 1, 0]), is_query, np.arange(10, 16), ("a", "b"), "f")
    cell = CellId("k", "d", "net", "original")
    opened = OpenCell(SimpleNamespace(id=cell, limit=None), images, Lake.open(tmp_path / "l", create=True))
    write_likeness(opened)
    rows = opened.read("likeness").to_pylist()
    assert [row["image_id"] for row in rows] == [13, 14, 15]
    assert [row["label"] for row in rows] == [1, 1, 0]
    assert (rows[1]["memory_image_id"], rows[1]["memory_label"]) == (11, 1)
    assert [row["likeness"] > 0.999 for row in rows] == [False, True, False]
