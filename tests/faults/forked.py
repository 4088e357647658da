"""Runs one command of `u1` again and again, each time in a fork of this process, and kills it if told to.

    python forked.py sweep --models ... <<< $'folder\t2.5'

Each line of the input is a folder and the seconds after which to send SIGKILL to the run's process group; the
answer is a line with the exit status, -9 for a kill, and the seconds that the run lasted. Imports are half of
a small sweep, and nothing that a kill could harm: they are done once, here.
"""

import os
import signal
import sys
import time

import duckdb  # noqa: F401
import matplotlib.figure  # noqa: F401

import u1core.cells.search  # noqa: F401
from flows.cli import main
from u1core.cells import extract

extract.PART_IMAGES = 10


def run(arguments, folder, delay_s):
    begin = time.monotonic()
    if not (child := os.fork()):
        os.setpgid(0, 0)
        os.chdir(folder)
        said = os.open("said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1), os.dup2(said, 2)
        sys.argv = ["u1", *arguments]
        main()
    os.setpgid(child, child)  # whoever of the two comes first
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() - begin > delay_s:
            os.killpg(child, signal.SIGKILL)
            ended = os.waitpid(child, 0)
            break
        time.sleep(0.005)
    return os.waitstatus_to_exitcode(ended[1]), time.monotonic() - begin


if __name__ == "__main__":
    for line in sys.stdin:
        folder, delay = line.rstrip("\n").split("\t")
        print(*run(sys.argv[1:], folder, float(delay)), flush=True)
