"""A source of networks: `u1 sweep --models 'tiny:*'`, after `pip install` of this folder.

Entry point: group `u1sweep.models`, `tiny = "u1_tiny_networks:TinyNetworks"`.
"""

from pathlib import Path

from torch import nn

from u1core.networks.sources import LocalFile, ModelSource, Preprocessing, Weights

FOLDER = Path(__file__).parent
WIDTHS = {"narrow": 8, "wide": 32}
PICTURES = Preprocessing(32, 1.0, "bilinear", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


class TinyNetworks(ModelSource):
    """`tiny:narrow`, `tiny:wide`; weights `tiny:narrow@v1` where narrow_v1.safetensors lies beside this."""

    def names(self):
        return list(WIDTHS)

    def build(self, name, tag="", classes=None):
        width = WIDTHS[name]
        down = [nn.Conv2d(3, width, 3, 2, 1), nn.ReLU(), nn.Conv2d(width, 2 * width, 3, 2, 1), nn.ReLU()]
        return nn.Sequential(
            *down, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * width, classes or 10)
        )

    def tags(self, name):
        return sorted(path.stem.removeprefix(f"{name}_") for path in FOLDER.glob(f"{name}_*.safetensors"))

    def weights(self, name, tag):
        return Weights(LocalFile(FOLDER / f"{name}_{tag}.safetensors"), label_space="cifar10")

    def default_preprocessing(self, name):
        return PICTURES
