"""Where and how forward passes run, none of which changes what is measured."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from u1core.common.errors import U1Error


@dataclass(frozen=True)
class Runtime:
    """How to run.

    Attributes:
        device: A torch device, resolved.
        batch_size: Images per forward pass; None finds out (`u1core.cells.batch_size`).
        models_dir: Folder of weights files; None leaves $U1_MODELS.
        compile: Whether torch.compile may be used where the number of images pays for it.
    """

    device: str = "cpu"
    batch_size: int | None = None
    models_dir: Path | None = None
    compile: bool = True

    @property
    def kind(self) -> str:
        """Name the device without its number: 'cpu', 'cuda', ..."""
        return torch.device(self.device).type


def resolve_device(name: str) -> str:
    """Return a usable torch device; 'auto' takes CUDA where there is one, else the CPU.

    Raises:
        U1Error: torch does not know the device, or the machine does not have it.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        if torch.device(name).type not in ("cpu", "cuda", "mps", "xpu"):
            raise RuntimeError(f"{name} computes nothing")
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as e:
        have = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        raise U1Error(
            "--device to name a device of this machine", repr(name), f"use auto or one of: {', '.join(have)}"
        ) from e
    return name


@contextmanager
def arithmetic(device: str, precision: str) -> Iterator[None]:
    """Run forward passes in one precision: float32 means float32, without TF32."""
    with torch.inference_mode(), training_arithmetic(device, precision):
        yield


@contextmanager
def training_arithmetic(device: str, precision: str) -> Iterator[None]:
    """Run forward and backward passes in one precision."""
    dtype = getattr(torch, precision)
    with (
        _without_tf32(),
        torch.autocast(torch.device(device).type, dtype, enabled=dtype != torch.float32),
    ):
        yield


_tf32_lock = threading.Lock()
_tf32_users: list[tuple[bool, bool]] = []


@contextmanager
def _without_tf32() -> Iterator[None]:
    """Switch TF32 off for the process while any thread is inside: one per GPU may be."""
    with _tf32_lock:
        # What the first one found is what the last one restores.
        found = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
        _tf32_users.append(_tf32_users[0] if _tf32_users else found)
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        with _tf32_lock:
            before = _tf32_users.pop()
            if not _tf32_users:
                torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether torch ran out of memory: of a device, by its own type; of the host, by its words."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "allocate memory" in str(error)
    )
