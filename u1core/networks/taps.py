"""Tap a network: one forward pass gives every layer asked for, and nothing runs behind the last of them.

Layers are named as in `u1core.networks.trace`. The network is not rewritten: forward hooks take what
modules return, and where a function makes a layer, the whole pass is followed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

from torch import Tensor, nn

from u1core.catalog.fields import nearest
from u1core.common.errors import U1Error
from u1core.networks.outputs import logits_of
from u1core.networks.trace import Arguments, Follower, numbered, record, unnumbered


class Taps(nn.Module):
    """A network that returns its layers.

    Args:
        network: Its parameters are shared, not copied.
        layers: Names of values of the forward pass.
        head: Name of the logits; '' for what the network returns, None for no logits at all.
        copied: Whether layers are copied as they are made: what works on them in place is not seen then.
    """

    def __init__(
        self, network: nn.Module, layers: Sequence[str], head: str | None = None, *, copied: bool = False
    ) -> None:
        super().__init__()
        self.network, self.layers, self.head, self.copied = network, tuple(layers), head, copied
        self._wanted = {*layers, *([head] if head else [])}
        modules = dict(network.named_modules())
        self._tapped = {_module_of(name, modules) for name in self._wanted}

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map pictures (B, 3, H, W) to a dict: layer -> (B, N, H', W'), and 'head' -> (B, K).

        Raises:
            U1Error: A layer is no value of the forward pass, or it is not clear which output is the logits.
        """
        found: dict[str, Tensor] = {}
        with self._follow(found) if "" in self._tapped else self._tap_modules(found):
            try:
                output = self.network(x)
            except _Complete:
                output = None
        missing = sorted(self._wanted - set(found))
        if missing and "" not in self._tapped:  # a function may be named like the second call of a module
            self._tapped.add("")
            return self.forward(x)
        if missing:
            raise self._no_such_layer(missing[0], x)
        outputs = {name: found[name] for name in self.layers}
        if self.head is not None:
            outputs["head"] = found[self.head] if self.head else logits_of(output, len(x))
        return outputs

    @property
    def by_hooks(self) -> bool:
        """Whether modules return every layer; else the pass has to be followed function by function."""
        return "" not in self._tapped

    def hooked(self) -> nn.Module:
        """Return a module of the same answers for torch.compile: hooks that stay, and no early end.

        A compiler leaves out by itself what no answer needs.
        """
        return _Hooked(self.network, self._wanted, self._tapped, self.layers, self.head)

    def _take(self, found: dict[str, Tensor], name: str, output: object) -> None:
        if name in self._wanted and isinstance(output, Tensor):
            found[name] = output.clone() if self.copied else output
            if self.head != "" and len(found) == len(self._wanted):
                raise _Complete

    @contextmanager
    def _tap_modules(self, found: dict[str, Tensor]) -> Iterator[None]:
        with ExitStack() as hooks:
            calls: dict[str, int] = {}

            def hook(path: str, module: nn.Module, inputs: object, output: object) -> None:
                self._take(found, numbered(calls, path), output)

            for path in self._tapped:
                module = self.network.get_submodule(path)
                hooks.callback(module.register_forward_hook(partial(hook, path)).remove)
            yield

    @contextmanager
    def _follow(self, found: dict[str, Tensor]) -> Iterator[None]:
        with _Tapper(self.network, lambda name, output: self._take(found, name, output)):
            yield

    def _no_such_layer(self, name: str, x: Tensor) -> U1Error:
        names = [n for value in record(self.network, x[:1]) for n in value.names]
        return U1Error("a layer of the network", f"'{name}'", f"nearest: {nearest(name, names)}")


class _Hooked(nn.Module):
    """A network of its own hooks, as `Taps.hooked` describes it."""

    def __init__(
        self,
        network: nn.Module,
        wanted: set[str],
        tapped: set[str],
        layers: tuple[str, ...],
        head: str | None,
    ) -> None:
        super().__init__()
        self.network, self.layers, self.head = network, layers, head
        self._found: dict[str, Tensor] = {}
        self._calls: dict[str, int] = {}
        for path in sorted(tapped):
            network.get_submodule(path).register_forward_hook(self._hook(path, wanted))

    def _hook(self, path: str, wanted: set[str]) -> Callable[[nn.Module, object, Tensor], None]:
        def take(module: nn.Module, inputs: object, output: Tensor) -> None:
            name = numbered(self._calls, path)
            if name in wanted:
                self._found[name] = output

        return take

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        self._found, self._calls = {}, {}
        output = self.network(x)
        outputs = {name: self._found[name] for name in self.layers}
        if self.head:
            outputs["head"] = self._found[self.head]
        elif self.head is not None:  # a compiler need not follow the search in what is a tensor already
            outputs["head"] = output if isinstance(output, Tensor) else logits_of(output, len(x))
        return outputs


class _Complete(Exception):  # noqa: N818 - a signal
    """Every layer is there: the rest of the network need not run."""


class _Tapper(Follower):
    def __init__(self, network: nn.Module, take: Callable[[str, object], None]) -> None:
        super().__init__(network)
        self.take = take

    def on_function(self, name: str, operation: str, arguments: Arguments, result: object) -> None:
        self.take(name, result)

    def on_module(self, name: str, inputs: object, output: object) -> None:
        self.take(name, output)


def _module_of(name: str, modules: dict[str, nn.Module]) -> str:
    """Return the path of the module whose call this is, 'relu_1' being the second call of 'relu'; else ''."""
    return next((path for path in (name, unnumbered(name)) if path in modules), "")
