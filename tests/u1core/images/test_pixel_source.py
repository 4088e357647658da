"""Rows of a file are the rows of the array, in whatever order they are asked for."""

import numpy as np
import pytest

from u1core.images.pixel_source import ArraySource, RowFile


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (20, 3, 4, 2), dtype=np.uint8)


@pytest.mark.parametrize("rows", [[], [0], [19, 3, 4, 5, 3], list(range(20)), [2, 1, 0]])
def test_a_file_gives_the_rows_asked_for(pixels, tmp_path, rows):
    (tmp_path / "rows").write_bytes(b"head" + pixels.tobytes())
    file = RowFile(tmp_path / "rows", (3, 4, 2), offset=4)
    np.testing.assert_array_equal(file.read(np.array(rows, dtype=np.int64)), pixels[rows])
    file.close()


def test_a_file_that_ends_early_is_an_error(pixels, tmp_path):
    (tmp_path / "rows").write_bytes(pixels.tobytes()[:-1])
    file = RowFile(tmp_path / "rows", (3, 4, 2))
    with pytest.raises(OSError, match="row 19 lies behind the end"):
        file.read(np.array([18, 19]))
    file.close()


def test_an_array_and_its_file_are_one_source(pixels, tmp_path):
    np.save(tmp_path / "pixels.npy", pixels)
    wanted = [np.array([7, 1]), np.array([3])]
    for array in (pixels, np.load(tmp_path / "pixels.npy", mmap_mode="r")):
        with ArraySource(array) as source:
            assert source.shape == (3, 4, 2) and not source.is_prepared
            found = list(source.batches(wanted))
        assert [batch.failures for batch in found] == [(), ()]
        for batch, positions in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(batch.positions, positions)
            np.testing.assert_array_equal(batch.pixels, pixels[positions])
