"""Record one forward pass: every tensor it makes, from what, by which operation, and under which name.

Nothing is traced symbolically, so any control flow is followed as it runs; on the meta device no number is
computed. A value is named as torchvision's feature extraction names it: by the module that returns it, or,
where a function makes it, by the module around it and the function, the second call with the suffix _1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils.hooks import RemovableHandle

from u1core.networks.outputs import logits_among, named_tensors

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
"""Of a torch function: positional, and by name."""


def numbered(calls: dict[str, int], name: str) -> str:
    """Name a call and count it.

    Example:
        >>> calls = {}
        >>> [numbered(calls, name) for name in ("act", "act", "conv", "act")]
        ['act', 'act_1', 'conv', 'act_2']
    """
    count = calls.get(name, 0)
    calls[name] = count + 1
    return f"{name}_{count}" if count else name


def unnumbered(name: str) -> str:
    """Return what a name would call again; empty where it is the name of no second call.

    Example:
        >>> unnumbered("act_1"), unnumbered("act")
        ('act', '')
    """
    again = re.fullmatch(r"(.+)_\d+", name)
    return again[1] if again else ""


@dataclass
class Value:
    """One tensor of a forward pass.

    Attributes:
        index: Position in order of execution; 0 is the image.
        operation: What made it: 'conv2d', 'relu', 'add', ...
        shape: With the batch first.
        inputs: Values it was made from; parameters and constants are none.
        names: Every name it goes by, innermost first.
        arguments: Of the operation, tensors among them.
        overwritten_by: Operation that later worked on it in place; empty where none did.
    """

    index: int
    operation: str
    shape: tuple[int, ...]
    inputs: tuple[int, ...]
    names: list[str]
    arguments: Arguments = field(default=((), {}), repr=False)
    overwritten_by: str = ""


class Follower(TorchFunctionMode):
    """Follows a network while it runs and names what every module and every torch function returns.

    Args:
        network: Watched between `with follower:` and its end, one forward pass at a time.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self._active: list[tuple[str, str]] = []
        self._calls: dict[str, int] = {}
        self._handles: list[RemovableHandle] = []

    def on_function(self, name: str, operation: str, arguments: Arguments, result: object) -> None:
        """Take what a torch function returned; `operation` is its bare name."""

    def on_module(self, name: str, inputs: object, output: object) -> None:
        """Take what a module returned."""

    def __enter__(self) -> Self:
        self._active.clear()
        self._calls.clear()
        for path, module in self.network.named_modules():
            if path:
                self._handles.append(module.register_forward_pre_hook(self._enter(path)))
                self._handles.append(module.register_forward_hook(self._leave))
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *raised: object) -> None:
        super().__exit__(*raised)  # type: ignore[no-untyped-call]
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        call = _SHAPES.get(func, func) if args and getattr(args[0], "is_meta", False) else func
        result = call(*args, **(kwargs or {}))
        if any(isinstance(leaf, Tensor) for leaf in pytree.tree_leaves(result)):
            operation = operation_name(func)
            scope = self._active[-1][0] if self._active else ""
            name = numbered(self._calls, f"{scope}.{operation}" if scope else operation)
            self.on_function(name, operation, (args, kwargs or {}), result)
        return result

    def _enter(self, path: str) -> Callable[[nn.Module, object], None]:
        def enter(module: nn.Module, inputs: object) -> None:
            self._active.append((path, numbered(self._calls, path)))

        return enter

    def _leave(self, module: nn.Module, inputs: object, output: object) -> None:
        _, name = self._active.pop()
        self.on_module(name, inputs, output)


def _same_shape(x: Tensor, *others: object, **named: object) -> Tensor:
    return torch.empty_like(x)


def _lstm_shapes(
    x: Tensor,
    state: Sequence[Tensor],
    weights: object,
    biases: bool,
    layers: int,
    dropout: float,
    train: bool,
    both_ways: bool,
    batch_first: bool,
) -> tuple[Tensor, ...]:
    """Return output and state of an LSTM; its two directions stand side by side (torch.nn.LSTM, Outputs)."""
    width = state[0].shape[-1] * (1 + both_ways)
    return x.new_empty((*x.shape[:-1], width)), *map(torch.empty_like, state)


_SHAPES: dict[object, Callable[..., object]] = {
    nn.functional.batch_norm: _same_shape,
    torch.lstm: _lstm_shapes,
}
"""What torch works out on the meta device in Python, after two seconds of imports: most of the time."""


class _Recorder(Follower):
    """Writes down every value."""

    def __init__(self, network: nn.Module, image: Tensor) -> None:
        super().__init__(network)
        self.image = image
        self.values: list[Value] = []
        self._of_tensor: dict[int, int] = {}
        self._versions: list[int] = []
        self._kept: list[Tensor] = []  # a freed tensor's id would be used again
        self._add(image, "image", "image", ())

    def on_function(self, name: str, operation: str, arguments: Arguments, result: object) -> None:
        inputs = self._known(arguments)
        for tensor in pytree.tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._add(tensor, operation, name, inputs, arguments)

    def on_module(self, name: str, inputs: object, output: object) -> None:
        """Give a value its module's name; what no torch function was seen to make comes from the inputs."""
        tensors = [t for t in pytree.tree_leaves(output) if isinstance(t, Tensor)]
        for tensor in tensors:
            if id(tensor) not in self._of_tensor:
                self._add(tensor, "unknown", name, self._known(inputs))
            elif len(tensors) == 1:
                self.values[self._of_tensor[id(tensor)]].names.append(name)

    def mark_overwritten(self) -> None:
        """Mark values that were worked on behind their back: through a view, or by assigning to a part."""
        for value, tensor, version in zip(self.values, self._kept, self._versions, strict=True):
            if tensor._version != version and not value.overwritten_by:
                value.overwritten_by = "work on a part of it in place"

    def end(self, output: object) -> Tensor | None:
        """Return the tensor that ends the pass: the last one listed; of several heads the deepest."""
        tensors = [tensor for _, tensor in named_tensors(output)]
        if not tensors or tensors[-1].ndim != 2:
            return tensors[-1] if tensors else None
        depths: list[int] = []
        for value in self.values:
            depths.append(1 + max((depths[i] for i in value.inputs), default=0))
        heads = logits_among(output, len(self.image)) or tensors[-1:]
        return max(heads, key=lambda head: depths[self._of_tensor.get(id(head), 0)])

    def _known(self, arguments: object) -> tuple[int, ...]:
        tensors = (t for t in pytree.tree_leaves(arguments) if isinstance(t, Tensor))
        return tuple(dict.fromkeys(self._of_tensor[id(t)] for t in tensors if id(t) in self._of_tensor))

    def _add(
        self,
        tensor: Tensor,
        operation: str,
        name: str,
        inputs: tuple[int, ...],
        arguments: Arguments = ((), {}),
    ) -> None:
        before = self._of_tensor.get(id(tensor))
        if before is not None and self._versions[before] == tensor._version:  # handed on as it is
            self.values[before].names.append(name)
            return
        if before is not None:
            self.values[before].overwritten_by = operation
        referred = pytree.tree_map(self._reference, arguments)
        self._of_tensor[id(tensor)] = len(self.values)
        self._kept.append(tensor)
        self._versions.append(tensor._version)
        self.values.append(Value(len(self.values), operation, tuple(tensor.shape), inputs, [name], referred))

    def _reference(self, argument: object) -> object:
        return Reference(self._of_tensor.get(id(argument), -1)) if isinstance(argument, Tensor) else argument


@dataclass(frozen=True)
class Reference:
    """A tensor among the arguments of an operation: the index of its value, -1 for a parameter."""

    index: int


def operation_name(func: Callable[..., object]) -> str:
    """Name a torch function without the marks of Python and of in-place work: 'add' for Tensor.__iadd__."""
    name = str(getattr(func, "__name__", func))
    if name == "__get__":  # x.T and the like
        name = str(getattr(getattr(func, "__self__", None), "__name__", name))
    bare = name.strip("_")
    return {"iadd": "add", "radd": "add", "imul": "mul", "rmul": "mul"}.get(bare, bare)


def record(network: nn.Module, image: Tensor) -> list[Value]:
    """Run a network once and return every value of its forward pass, in order of execution.

    Args:
        network: In evaluation mode, on any device; on the meta device nothing is computed.
        image: (B, 3, H, W), on the same device.

    Returns:
        The values: the first is the image, the last one that the network returns is named 'output' too.
    """
    with torch.inference_mode(False), torch.no_grad():  # inference tensors don't tell in-place work
        recorder = _Recorder(network, image.clone())
        with recorder:
            output = network(recorder.image)
    recorder.on_module("output", recorder.image, recorder.end(output))
    recorder.mark_overwritten()
    return recorder.values


def cut_points(values: Sequence[Value]) -> list[Value]:
    """Return the values that the whole signal passes through, the image first and the output last.

    They are the dominators of the output in the graph of the forward pass: without one of them nothing of
    the image would reach the output. Cooper, Harvey and Kennedy (2001), A simple, fast dominance algorithm;
    the graph is acyclic and in order of execution, so one pass is enough.
    """
    immediate: dict[int, int] = {0: 0}
    for value in values[1:]:
        ways = [i for i in value.inputs if i in immediate]
        if ways:
            common = ways[0]
            for other in ways[1:]:
                common = _meet(immediate, common, other)
            immediate[value.index] = common
    last = next((v.index for v in reversed(values) if "output" in v.names), None)
    if last is None or last not in immediate:
        return []
    chain = [last]
    while chain[-1]:
        chain.append(immediate[chain[-1]])
    return [values[i] for i in reversed(chain)]


def _meet(immediate: dict[int, int], a: int, b: int) -> int:
    """Return the nearest value that dominates both."""
    while a != b:
        if a > b:
            a = immediate[a]
        else:
            b = immediate[b]
    return a


def on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """Build a network without memory for its weights, in evaluation mode, on the meta device.

    Args:
        build: Its constructor. Some read numbers back from tensors (torchvision's RegNet): those are built on
            the CPU, and only the parameters go to the meta device, one by one, before they are initialised.
    """
    try:
        with torch.device("meta"), _Undrawn():
            network = build()
    except Exception:  # what stays wrong on the CPU is told from there
        with _parameters_on_meta():
            network = build()
    return network.to("meta").eval()


class _Undrawn(TorchFunctionMode):
    """Skips random numbers for tensors without any: torch takes a second to draw nothing for a network."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 (whatever the function returns)
        """Return the tensor that was to be filled, or call the function."""
        if func in _DRAWS and args[0].is_meta:
            return args[0]
        return func(*args, **(kwargs or {}))


_DRAWS = frozenset({Tensor.normal_, Tensor.uniform_})


@contextmanager
def _parameters_on_meta() -> Iterator[None]:
    register = nn.Module.register_parameter

    def register_on_meta(module: nn.Module, name: str, param: nn.Parameter | None) -> None:
        if param is not None and not is_lazy(param):
            param = nn.Parameter(param.to("meta"), param.requires_grad)
        register(module, name, param)

    nn.Module.register_parameter = register_on_meta  # type: ignore[assignment,method-assign]
    try:
        yield
    finally:
        nn.Module.register_parameter = register  # type: ignore[method-assign]
