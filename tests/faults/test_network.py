"""Networks that misbehave: memory that ends, activations that are not a number."""

import resource
import subprocess

import numpy as np
import pytest
from struck import U1, rows_written, tell

from u1core.catalog.catalog import load_catalog
from u1core.images.cache import open_images, select_images
from u1core.lake.connect import connect

LIMIT = 10 << 30
NETWORKS = """
import torch
from torch import nn
from u1core.networks.sources.cifar_resnet import CifarResNet

class Greedy(CifarResNet):
    # Memory that is asked for and never touched: the limit is on addresses.
    def forward(self, x):
        torch.empty(len(x) * self.scratch, dtype=torch.uint8, device=x.device)
        return super().forward(x)

class Sick(CifarResNet):
    def forward(self, x):
        is_ill = (255 * x.sum((1, 2, 3), keepdim=True) - {ill}).abs() < 0.5
        return super().forward(torch.where(is_ill, torch.nan, x))

def sane():
    return CifarResNet(8)

def sick():
    return Sick(8)

def halved():
    network = Greedy(8)
    network.scratch = 2 << 30
    return network

def refused():
    network = Greedy(8)
    network.scratch = 64 << 30
    # With these it would be met by one picture before there are batches.
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            network.set_submodule(name, nn.Identity())
    return network
"""
ENTRY = """
[models.{name}]
architecture = "code:misbehaving:{name}"
weights = "none"
label_space = "digits"
preprocessing = {{ size = 8, crop_pct = 1, interpolation = "bilinear", mean = [0, 0, 0], std = [1, 1, 1] }}
layers = ["layer1", "layer2"]
bottleneck = "layer2"
"""
NAMES = ("sane", "sick", "halved", "refused")
DIFFERENCE = """
select count(*), max(abs(a.polar_angle_rad - b.polar_angle_rad)), max(abs(a.dipole_x - b.dipole_x))
from lake.records as a join lake.records as b using (layer, image_id)
where a.model = 'sane' and b.model = $model
"""


@pytest.fixture
def ill(tmp_path):
    """Write the networks; return the image that makes one of them ill: it has a brightness of its own."""
    images = open_images(load_catalog().datasets["digits"], tmp_path / "cache")
    chosen = select_images(images, 20)
    sums = images.pixels[chosen].reshape(len(chosen), -1).sum(axis=1, dtype=int)
    totals, first, count = np.unique(sums, return_index=True, return_counts=True)
    one = int(np.flatnonzero(count == 1)[0])
    colours = 3
    (tmp_path / "misbehaving.py").write_text(NETWORKS.replace("{ill}", str(colours * totals[one])))
    (tmp_path / "mine.toml").write_text("".join(ENTRY.format(name=name) for name in NAMES))
    return images.image_ids[chosen[first[one]]]


def test_memory_that_ends_and_activations_that_are_not_finite(served, ill, tmp_path):
    sweep = ("sweep", "--catalog", "mine.toml", "--models", ",".join(NAMES), "--datasets", "digits")
    done = subprocess.run(
        [*U1, *sweep, "--limit", "20", "--batch-size", "8", "--location-limit", "0"],
        cwd=tmp_path,
        env=served | {"U1_ALLOW_CODE": "1", "PYTHONPATH": f"{served['PYTHONPATH']}:{tmp_path}"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT)),
        capture_output=True,
        text=True,
        timeout=550,
    )
    assert done.returncode == 1
    assert "3 cells computed, 0 found done, 1 failed" in done.stdout, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("u1: ")]
    assert line.startswith("u1: refused on digits failed: expected memory for two images of refused")
    with connect(tmp_path / "lake") as connection:

        def ask(query, **params):
            return connection.execute(query, params).fetchall()

        ((batch, status),) = ask("select batch_size, status from cells where model = 'halved'")
        assert (batch < 8, status) == (True, "done")
        ((error,),) = ask("select error from cells where model = 'refused' and status = 'failed'")
        assert "allocate memory" in error
        # Other batches meet other kernels: the last digits differ.
        ((rows, *halved),) = ask(DIFFERENCE, model="halved")
        assert rows == 80
        tell("memory for less than a batch", 1, 0, rows, [d for d in halved if d > 1e-5])
        tell("memory for less than one image", 1, 0, "a failed cell with the reason", [])
        failures = ask("select model, image_id, stage, error from failures")
        assert failures == [("sick", ill, "forward", "activations that are not finite")]
        ((rows, *others),) = ask(DIFFERENCE, model="sick")
        assert ask("select rows, failures from cells where model = 'sick'") == [(39, 1)]
        assert rows == 78
        after = f"{rows}, and a row of `failures`"
        tell("NaN in the activations of one image", 1, 0, after, [d for d in others if d > 0])
    assert rows_written(tmp_path / "lake") == 80 + 78 + 80
