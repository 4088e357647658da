"""What streams over the images: each number is kept under its own name."""

import io

import numpy as np
import pytest

from u1core.measures.frames import CoMoments
from u1core.measures.sums import LayerSums, PartSums, Timing


@pytest.fixture
def part():
    rng = np.random.default_rng(0)
    sums = LayerSums.of(
        rng.random((5, 2, 3)),
        rng.random((5, 4)),
        rng.random((5, 2)),
        np.array([0, 1, 2, 0, 1]),
        np.array([False, False, True, False, True]),
        3,
        per_class=True,
    )
    return PartSums({"a|b": sums}, 5, 1, Timing(2.5, (1.0, 0.5, 0.25, 0.0, 0.0), 16, "eager"))


def test_every_number_comes_back_under_its_name(part):
    again = PartSums.from_bytes(part.to_bytes())
    assert (again.rows, again.failures, again.timing) == (part.rows, part.failures, part.timing)
    (layer,) = again.layers
    assert layer == "a|b"  # a name may hold the mark between layer and field
    for field, value in part.layers[layer].named().items():
        np.testing.assert_array_equal(again.layers[layer].named()[field], value, err_msg=field)


def test_the_archive_names_what_it_holds(part):
    with np.load(io.BytesIO(part.to_bytes())) as archive:
        fields = {name.rpartition("|")[2] for name in archive.files if name.startswith("a|b|")}
    moments = set(CoMoments.__dataclass_fields__)
    assert fields == {"count", "energy", "class_energy"} | moments
    assert moments == {"n", "mean_chroma", "mean_dipole", "comoment", "rest_chroma", "rest_dipole"}


def test_names_and_not_places_decide(part):
    """A number under another name is refused, not taken for its neighbour."""
    named = part.layers["a|b"].named()
    np.testing.assert_array_equal(LayerSums.of_named(dict(reversed(named.items()))).count, named["count"])
    named["mean"] = named.pop("mean_chroma")
    with pytest.raises(TypeError, match="mean"):
        LayerSums.of_named(named)


def test_sums_of_before_they_had_names_are_read(part):
    """As written until then: totals, execution, and nine arrays of a layer by number."""
    sums, timing = part.layers["a|b"], part.timing
    moments = sums.moments
    nine = (
        *(sums.count, sums.energy, sums.class_energy, np.int64(moments.n), moments.mean_chroma),
        *(moments.mean_dipole, moments.comoment, moments.rest_chroma, moments.rest_dipole),
    )
    totals = np.array([part.rows, part.failures, timing.batch_size, timing.seconds, *timing.phases])
    content = io.BytesIO()
    numbered = {f"a|b|{i}": np.asarray(values) for i, values in enumerate(nine)}
    np.savez(content, totals=totals, execution=np.array(timing.execution), **numbered)
    again = PartSums.from_former(content.getvalue())
    assert (again.rows, again.failures, again.timing) == (part.rows, part.failures, part.timing)
    for field, values in sums.named().items():
        np.testing.assert_array_equal(again.layers["a|b"].named()[field], values, err_msg=field)
