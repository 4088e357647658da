"""A small network, and runs of it over the digits."""

import pytest
from runs import RECIPE

from u1core.catalog.entries import ModelEntry
from u1core.networks.resolve import resolve
from u1core.training.run import Run


@pytest.fixture(scope="module")
def network():
    return resolve(ModelEntry("network", "small_cnn:16", "none", "", None, (), "", None, "none"))


@pytest.fixture
def run(catalog, digits, network):
    """Make a run of the digits."""

    def make(arm="onehot+u1", weight=0.5, seed=0, recipe=RECIPE):
        return Run(catalog.datasets["digits"], digits.fingerprint, network, recipe, arm, weight, seed)

    return make
