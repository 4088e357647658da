"""Arguments of commands, taken from the options of the flows; and where the commands print."""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from functools import wraps
from typing import Annotated, Any, Concatenate, TypeVar, get_args, get_origin, get_type_hints

from flows.cli.terminal import Console, open_streams
from flows.options import Option
from u1core.common.errors import U1Error

T = TypeVar("T")

open_streams()
# A pipe has no width of its own; 80 columns would cut the tables.
out = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 140, emoji=False)
err = Console(stderr=True, soft_wrap=True, emoji=False)


def takes(
    kind: type[T], *, but: Sequence[str] = ()
) -> Callable[[Callable[Concatenate[T, ...], None]], Callable[..., None]]:
    """Give a command an argument for every option of a class, and pass it their object as its first one.

    Args:
        kind: A class of `flows.options`.
        but: Options that are no arguments of this command; nor are those that it has itself.
    """

    def decorate(command: Callable[Concatenate[T, ...], None]) -> Callable[..., None]:
        own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
        left_out = {*but, *(argument.name for argument in own)}
        asked = [argument for argument in arguments_of(kind) if argument.name not in left_out]

        @wraps(command)
        def run(**given: Any) -> None:  # noqa: ANN401 (typer checks them)
            typed = {argument: given.pop(argument.name) for argument in asked}
            # What was not typed keeps the default of its field.
            options = {a.name: _read(a, value) for a, value in typed.items() if value is not None}
            command(kind(**options), **given)

        run.__signature__ = inspect.Signature([*asked, *own])  # type: ignore[attr-defined]
        run.__annotations__ = {argument.name: argument.annotation for argument in (*asked, *own)}
        return run

    return decorate


def arguments_of(kind: type) -> Iterator[inspect.Parameter]:
    """Make an argument of every field of a dataclass that has an `Option`; a mapping takes name=value."""
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        type_, *extras = get_args(hints[field.name])
        option = next((extra for extra in extras if isinstance(extra, Option)), None)
        if option is None:
            continue
        default = inspect.Parameter.empty if field.default is MISSING else field.default
        if get_origin(type_) is Mapping:
            type_, default = list[str] | None, None
        annotation = Annotated[type_, option]  # type: ignore[valid-type]
        yield inspect.Parameter(
            field.name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=annotation
        )


def _read(argument: inspect.Parameter, typed: object) -> object:
    if not isinstance(typed, list):
        return typed
    _, option = get_args(argument.annotation)
    return parse_pairs(typed, option.param_decls[0])


def parse_pairs(pairs: Sequence[str], flag: str) -> dict[str, Any]:
    """Parse name=value pairs; a value that reads as a number or true/false/null is one."""
    values = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise U1Error(f"{flag} to be name=value", repr(pair), f"write for example {flag} split=query")
        try:
            values[name] = json.loads(value)
        except ValueError:
            values[name] = value
    return values
