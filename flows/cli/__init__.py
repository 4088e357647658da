"""The command line `u1`: each command a thin face on a flow or a u1core function.

app: all commands together; a mistake or a signal is one line.
sweep, train, lake, catalog, soundness: the commands with their arguments; heavy imports wait until they run.
arguments, terminal: options as arguments, name=value pairs, consoles.
The rest is what single commands do and print: plan, preregister, board, result, retry, sql, upkeep, ...
"""

from flows.cli.app import main

__all__ = ["main"]
