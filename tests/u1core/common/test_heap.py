"""The kept heap, in processes of their own: thresholds stay set for a process."""

import platform
import subprocess
import sys

import pytest

FAULTS_OF_100_TENSORS = """
import resource, torch
from contextlib import nullcontext
from u1core.common.heap import kept_heap

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident_mb():
    return 4096 * int(open("/proc/self/statm").read().split()[1]) / 1e6

with {context}:
    for _ in range(3):
        torch.ones(16_000_000)
    before = faults()
    for _ in range(100):
        torch.ones(16_000_000)
    print(faults() - before, resident_mb())
print(resident_mb())
"""


def run(context: str) -> tuple[int, float, float]:
    """Return page faults of 100 tensors of 64 MB, and resident MB inside and after."""
    code = FAULTS_OF_100_TENSORS.format(context=context)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    faults, inside, after = map(float, done.stdout.split())
    return int(faults), inside, after


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library has thresholds")
def test_tensors_meet_the_pages_of_those_before():
    faults, inside, after = run("kept_heap()")
    assert faults < run("nullcontext()")[0] / 10
    assert after < inside - 50  # handed back


def test_without_the_gnu_c_library_nothing_happens():
    code = (
        "import platform, ctypes; platform.libc_ver = lambda: ('', ''); ctypes.CDLL = None\n"
        "from u1core.common.heap import kept_heap\n"
        "with kept_heap(): print('ran')"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "ran\n"
