"""A small real cell: CIFAR ResNet-20 with seeded random weights over the digits, both offline."""

import dataclasses

import pytest
import torch

from u1core.catalog.catalog import load_catalog
from u1core.cells.cell import Cell
from u1core.images.cache import open_images
from u1core.lake.store import Lake


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Small batches lose more to waiting threads than they win: five times on two shared cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def catalog():
    return load_catalog()


@pytest.fixture(scope="session")
def digits(catalog, tmp_path_factory):
    return open_images(catalog.datasets["digits"], tmp_path_factory.mktemp("cache"))


@pytest.fixture
def cell(catalog, digits):
    model, dataset = catalog.models["cifar10_resnet20"], catalog.datasets["digits"]
    return Cell(model, dataset, digits.fingerprint, "random-init", limit=60)


@pytest.fixture
def lake(tmp_path):
    return Lake.open(tmp_path / "lake", create=True)


@pytest.fixture
def with_labels():
    """Return images with other labels."""
    return lambda images, labels: dataclasses.replace(images, labels=labels)


@pytest.fixture
def replaced():
    """Return a copy of a dataclass with other fields."""
    return dataclasses.replace
