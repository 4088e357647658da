"""Batches through the network: all of one shape, halved where memory ends, sized by trying.

Shape legend: B images, N channels, H x W pixels, C colours, K classes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from u1core.cells.batch_size import PROBED_IMAGES, Remembered, default_batch_size, fastest_batch_size
from u1core.cells.forward import Extractor
from u1core.common.clock import Clock
from u1core.common.errors import U1Error
from u1core.common.runtime import is_out_of_memory
from u1core.images.cache import default_cache
from u1core.measures.reduce import Collapsed, collapse
from u1core.networks.preprocess import preprocessing_of

COMPILING_PAYS_S = 600.0
"""Seconds of eager forward passes on a GPU above which torch.compile's minute is worth its while. On a CPU it
never is: it gains 2 to 4 % over folded eager kernels (EfficientNet-Lite0) and wants a C++ compiler there."""


class Output(NamedTuple):
    """What one batch gives, on the device."""

    layers: dict[str, Collapsed]
    bottleneck: Tensor  # (B, N, H, W), not reduced
    head: Tensor | None  # (B, K) logits, where they are asked for


class Batches:
    """Runs pixels through an extractor.

    Args:
        extractor: The network.
        shape: Of one picture (H, W, C).
        images: How many are to come: decides whether trying and compiling pay.
        clock: Told the time of forward passes and of reductions.

    Attributes:
        size: Images per forward pass.
    """

    def __init__(self, extractor: Extractor, shape: tuple[int, int, int], images: int, clock: Clock) -> None:
        self.extractor, self.clock = extractor, clock
        self.cell, self.runtime = extractor.cell, extractor.runtime
        self._shape = shape
        self._remembered = Remembered(default_cache())
        self.size = self._choose_size(images)
        if self.runtime.compile and self.runtime.kind == "cuda":
            self._compile_if_it_pays(images)

    def __call__(self, pixels: np.ndarray, image_ids: Sequence[int]) -> Output:
        """Run pixels (B, H, W, C) uint8 of images (B,).

        Raises:
            U1Error: There is no memory even for one image.
        """
        outputs: list[Output] = []
        start = 0
        while start < len(pixels):
            try:
                some = slice(start, start + self.size)
                outputs.append(self._run(pixels[some], image_ids[some]))
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                self._halve(error)
            else:
                start += self.size
        return outputs[0] if len(outputs) == 1 else _join(outputs)

    def wait(self) -> None:
        """Wait until the device has done what it was told: the rest of the forward passes."""
        if self.runtime.kind == "cuda":
            with self.clock.phase("forward"):
                torch.cuda.synchronize(self.runtime.device)

    def _run(self, pixels: np.ndarray, image_ids: Sequence[int]) -> Output:
        """Run one batch; a short one is filled up, so that every image meets the same kernels."""
        n, model = len(pixels), self.cell.model
        with self.clock.phase("forward"):
            filled = [*image_ids, *[image_ids[-1]] * (self.size - n)]
            outputs = self.extractor(self._to_device(pixels), filled)
        with self.clock.phase("reduce"):
            layers = {
                name: Collapsed(*(t[:n] for t in self._collapse(name, outputs))) for name in model.layers
            }
        head = outputs["head"][:n] if "head" in outputs else None
        return Output(layers, outputs[model.bottleneck][:n], head)

    def _collapse(self, name: str, outputs: Mapping[str, Tensor]) -> Collapsed:
        return collapse(outputs[name], signed=self.extractor.signed[name])

    def _to_device(self, pixels: np.ndarray) -> Tensor:
        missing = self.size - len(pixels)
        batch = torch.from_numpy(
            np.concatenate([pixels, np.repeat(pixels[-1:], missing, axis=0)]) if missing else pixels
        )
        if self.runtime.kind != "cuda":
            return batch.to(self.runtime.device)
        return batch.pin_memory().to(self.runtime.device, non_blocking=True)

    # -- the size ---------------------------------------------------------------------------------

    def _choose_size(self, images: int) -> int:
        """Return the size asked for or remembered; for many images the fastest, else the default."""
        size = self.runtime.batch_size or self._remembered.get(self.cell, self.runtime)
        if size:
            return size
        start = default_batch_size(preprocessing_of(self.cell.model).size ** 2, self.runtime.device)
        if images < PROBED_IMAGES:
            return start
        size = fastest_batch_size(self._try, start, self.runtime.kind)
        self._remembered.put(self.cell, self.runtime, size)
        return size

    def _try(self, size: int) -> None:
        """Run one batch of noise to its end."""
        outputs = self.extractor(self._noise(size))
        for name in self.cell.model.layers:
            self._collapse(name, outputs).pooled.sum().item()

    def _noise(self, size: int) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        noise = torch.randint(0, 256, (size, *self._shape), dtype=torch.uint8, generator=generator)
        return noise.to(self.runtime.device)

    def _halve(self, error: RuntimeError) -> None:
        if self.size == 1:
            raise U1Error(
                f"memory for one image of {self.cell} on {self.runtime.device}",
                " ".join(str(error).split())[:200],
                "free memory there, or choose another --device",
            ) from error
        self.size //= 2
        self._remembered.put(self.cell, self.runtime, self.size)
        if self.runtime.kind == "cuda":
            torch.cuda.empty_cache()

    def _compile_if_it_pays(self, images: int) -> None:
        self._try(self.size)
        start = time.perf_counter()
        self._try(self.size)
        if images / self.size * (time.perf_counter() - start) > COMPILING_PAYS_S:
            self.extractor.compile(self._noise(self.size))


def _join(outputs: list[Output]) -> Output:
    layers = {
        name: Collapsed(*map(torch.cat, zip(*(a.layers[name] for a in outputs), strict=True)))
        for name in outputs[0].layers
    }
    heads = [a.head for a in outputs if a.head is not None]
    return Output(layers, torch.cat([a.bottleneck for a in outputs]), torch.cat(heads) if heads else None)
