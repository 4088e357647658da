"""The network of a cell, ready to run: changed as its variant says, truncated, folded, laid out, compiled.

Shape legend: B images, N channels, H x W pixels, C colours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from u1core.cells.cell import Cell
from u1core.cells.variants import VARIANTS
from u1core.common.errors import U1Error
from u1core.common.runtime import Runtime, arithmetic
from u1core.images.sources.listing import Pixels
from u1core.measures.gauge import ChannelSizes, scaled
from u1core.networks.build import build_network
from u1core.networks.fold import TOLERANCE, deviation, fold_batch_norms
from u1core.networks.padding import check_padding, padded
from u1core.networks.preprocess import fitter, preprocessing_of, preprocessor
from u1core.networks.proof import prove
from u1core.networks.reestimate import MOST_PICTURES, batch_norms, move, observe, pictures_for, reestimate
from u1core.networks.resolve import describe_path
from u1core.networks.taps import Taps

COMPILED_TOLERANCE = {"float32": 1e-3, "bfloat16": 0.3, "float16": 0.05}
"""Largest deviation of compiled from eager layers, relative to a layer's root mean square: fused kernels
round once where eager ones round after every operation, so the reduced precisions differ by their noise."""


Memory = Callable[[int], Iterator[tuple[Pixels, Sequence[int]]]]
"""Gives at most so many pictures of the memory split, always the same ones, in batches (B, H, W, C), and
their ids (B,)."""


class Extractor:
    """Pixels in, the activations of every layer out.

    Attributes:
        network: `Taps` of the cell's network.
        preprocess: From pictures (B, H, W, C) uint8 to the network's input.
        signed: Whether a layer can be negative, by name.
        classes: K of the network's head; None where no logits are asked for.
        folded: Batch normalisations folded into convolutions.
        is_compiled: Whether torch.compile made the kernels.
        changes: What the variant changed in the network, in words.
        note: Why something faster was not used; empty where nothing stood against it.

    Args:
        cell: What to run.
        runtime: Where.
        is_prepared: The pixels are resized and cropped already.
        memory: Pictures that variants estimate with.

    Raises:
        U1Error: The network can't be built or changed, a layer is none of its values, or `prove` refuses it.
    """

    def __init__(
        self, cell: Cell, runtime: Runtime, *, is_prepared: bool = False, memory: Memory | None = None
    ) -> None:
        self.cell, self.runtime, self.variant = cell, runtime, VARIANTS[cell.variant]
        # Refuses layers that are not there or are overwritten, before any work.
        self.signed = {layer.path: not layer.non_negative for layer in describe_path(cell.model)}
        self.preprocess = preprocessor(cell.model, is_prepared=is_prepared)
        self._fit = fitter(cell.model, is_prepared=is_prepared)
        self._scale = preprocessor(cell.model, is_prepared=True)
        self.is_compiled, self.note, self.changes = False, "", ""
        self._memory = memory
        self.network, self.folded = self._folded()
        _cast_weights(self.network, getattr(torch, cell.precision))
        self._run: nn.Module = self.network
        self._scales: dict[str, Tensor] = {}
        if self.variant.unit_channels:
            self._scales = self._unit_scales()

    def __call__(self, pixels: Tensor, image_ids: Sequence[int] | None = None) -> dict[str, Tensor]:
        """Map pixels (B, H, W, C) uint8 on the device to layers (B, N, H, W), and 'head' to logits (B, K).

        Args:
            pixels: The pictures.
            image_ids: Their ids (B,), which seed what a variant draws; None for pictures of no data set.
        """
        return self._answer(pixels, image_ids, self._run)

    def eager(self, pixels: Tensor, image_ids: Sequence[int] | None = None) -> dict[str, Tensor]:
        """Do the same without compiled kernels, which are made for batches of one size."""
        return self._answer(pixels, image_ids, self.network)

    def _answer(self, pixels: Tensor, image_ids: Sequence[int] | None, run: nn.Module) -> dict[str, Tensor]:
        ids = range(len(pixels)) if image_ids is None else image_ids
        with arithmetic(self.runtime.device, self.cell.precision), padded(self.variant.padding):
            outputs = run(self._inputs(pixels, ids))
            changed = {name: self._read(name, outputs[name]) for name in self.cell.model.layers}
            return {**changed, **({"head": outputs["head"]} if "head" in outputs else {})}

    def _inputs(self, pixels: Tensor, image_ids: Sequence[int]) -> Tensor:
        pictures = self._fit(self.variant.pixels(pixels))
        for alter in self.variant.fed:
            pictures = alter(pictures, image_ids)
        return self.variant.inputs(self._scale(pictures)).contiguous(memory_format=torch.channels_last)

    def _read(self, name: str, activations: Tensor) -> Tensor:
        if name in self._scales:
            activations = scaled(activations, self._scales[name])
        return self.variant.activations(activations)

    @property
    def execution(self) -> str:
        """Say how forward passes run: eager or compiled, what was folded, and why not more."""
        kernels = "compiled" if self.is_compiled else "eager"
        folded = f", {self.folded} batch normalisations folded" if self.folded else ""
        return "; ".join(filter(None, (f"{kernels}{folded}", self.changes, self.note)))

    def check_head(self, classes: int | None) -> None:
        """Raise U1Error where the head predicts another number of classes than it is said to."""
        if None not in (self.classes, classes) and self.classes != classes:
            model = self.cell.model
            wanted = f"a head of {classes} classes, those of label space {model.label_space}, from {model.id}"
            todo = "correct its `label_space`, or name the value with the logits as its `head`"
            raise U1Error(wanted, f"one of {self.classes}", todo)

    def compile(self, pixels: Tensor) -> None:
        """Replace eager kernels by torch.compile's; where that fails or deviates, stay and note why."""
        if not self.network.by_hooks:
            self.note = "not compiled: a function, not a module, makes a layer"
            return
        eager = self(pixels)
        self._run = torch.compile(self.network.hooked(), dynamic=False)  # type: ignore[assignment]
        try:
            difference = deviation(_float(eager), _float(self(pixels)))
        except Exception as error:  # of compilers, of many kinds; eager kernels are still there
            self.note = f"not compiled: torch.compile failed with {type(error).__name__}"
        else:
            self.is_compiled = difference <= COMPILED_TOLERANCE[self.cell.precision]
            self.note = "" if self.is_compiled else f"not compiled: layers would deviate by {difference:.1e}"
        if not self.is_compiled:
            self._run = self.network

    def _folded(self) -> tuple[Taps, int]:
        """Build the network with batch norms folded, unless that changes a layer beyond rounding."""
        network = self._build()
        with padded(self.variant.padding):
            taps, count = self._fold(network)
        return (self._taps(self._build()), 0) if taps is None else (taps, count)

    def _fold(self, network: nn.Module) -> tuple[Taps | None, int]:
        """Fold in place; None where that changed a layer, and the network is of no use any more."""
        trained, is_changed = self.variant.trained, self.variant.changes_network
        self.classes = prove(network, self.cell.model, self._head, trained=trained, is_changed=is_changed)
        if not any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
            return self._taps(network), 0
        picture = self._picture()
        with arithmetic(self.runtime.device, "float32"):
            before = self._taps(network)(picture)
        kept = [*self.cell.model.layers, self.cell.model.head or ""]
        count = fold_batch_norms(network, kept, picture.shape[2])
        network = _laid_out(network)
        with arithmetic(self.runtime.device, "float32"):
            difference = deviation(before, self._taps(network)(picture)) if count else 0.0
        if difference <= TOLERANCE:
            return self._taps(network), count
        self.note = f"not folded: layers would deviate by {difference:.1e}"
        return None, 0

    def _build(self) -> nn.Module:
        trained, models_dir = self.variant.trained, self.runtime.models_dir
        network = build_network(
            self.cell.model, trained=trained, models_dir=models_dir, seed=self.variant.seed
        )
        return self._changed(_laid_out(network.to(self.runtime.device)))

    def _changed(self, network: nn.Module) -> nn.Module:
        """Change a network as the variant says, and write down what was changed."""
        changes, model = [], self.cell.model
        size = preprocessing_of(model).size
        mode, norms = self.variant.padding, self.variant.norms if batch_norms(network) else ""
        with arithmetic(self.runtime.device, "float32"):
            pictures = (
                torch.cat([*self._remembered(pictures_for(network, size))]) if norms else torch.empty(0)
            )
            before = observe(network, pictures, model.id) if norms == "moved" else {}
            with padded(mode):
                if mode:
                    changes.append(f"{check_padding(network, size, mode, model.id)} paddings {mode}")
                if norms == "moved":
                    count = move(network, pictures, model.id, before)
                    changes.append(f"{count} batch norms moved over {len(pictures)} pictures")
                elif norms:
                    count = reestimate(network, pictures, model.id)
                    changes.append(f"{count} batch norms re-estimated over {len(pictures)} pictures")
        self.changes = ", ".join(changes)
        return network

    def _remembered(self, count: int) -> Iterator[Tensor]:
        """Yield the network's inputs (B, 3, H, W) of at most so many pictures of the memory split."""
        if self._memory is None:
            wanted = f"pictures of the memory split for variant {self.cell.variant}"
            raise U1Error(wanted, "none", "give the extractor its `memory`")
        for pixels, image_ids in self._memory(count):
            yield self._inputs(torch.from_numpy(pixels).to(self.runtime.device), image_ids)

    def _unit_scales(self) -> dict[str, Tensor]:
        """Estimate the size of every layer's channels as the cell runs them."""
        sizes = {name: ChannelSizes() for name in self.cell.model.layers}
        pictures = 0
        with arithmetic(self.runtime.device, self.cell.precision), padded(self.variant.padding):
            for inputs in self._remembered(MOST_PICTURES):
                outputs = self.network(inputs)
                for name, size in sizes.items():
                    size.add(outputs[name])
                pictures += len(inputs)
        self.changes = ", ".join(filter(None, (self.changes, f"unit channels over {pictures} pictures")))
        return {name: size.unit_scales() for name, size in sizes.items()}

    def _taps(self, network: nn.Module) -> Taps:
        return Taps(network, self.cell.model.layers, self._head)

    @property
    def _head(self) -> str | None:
        return (self.cell.model.head or "") if self.cell.head_matches else None

    def _picture(self) -> Tensor:
        """Return one picture of noise, (1, 3, H, W), the same each time."""
        size = preprocessing_of(self.cell.model).size
        picture = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
        return picture.to(self.runtime.device, memory_format=torch.channels_last)


def _laid_out(network: nn.Module) -> nn.Module:
    """Lay weights out with the channels last, which depthwise convolutions on a CPU need most."""
    return network.to(memory_format=torch.channels_last)


def _cast_weights(network: nn.Module, dtype: torch.dtype) -> None:
    """Do once what autocast would do in every pass, where nothing but the operation reads the weights."""
    for module in network.modules():
        if type(module) in (nn.Conv2d, nn.Linear):
            module.to(dtype)


def _float(layers: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: values.float() for name, values in layers.items()}
