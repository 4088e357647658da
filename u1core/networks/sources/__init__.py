"""Where networks and their published weights come from, one source per scheme of `<scheme>:<name>`.

Built in are timm, torchvision, cifar_resnet, small_cnn, pixels and code. Another package adds one through an
entry point of the group `u1sweep.models`, named by its scheme, that leads to a subclass of `ModelSource`.
"""

from u1core.catalog.entries import Preprocessing
from u1core.networks.sources.files import HubFile, LocalFile, UrlFile, WeightsFile
from u1core.networks.sources.source import ModelSource, UnsuitableError, Weights

__all__ = [
    "HubFile",
    "LocalFile",
    "ModelSource",
    "Preprocessing",
    "UnsuitableError",
    "UrlFile",
    "Weights",
    "WeightsFile",
]
