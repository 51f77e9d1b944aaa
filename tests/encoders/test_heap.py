"""Freed memory is reused in the block, and given back after it."""

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from commonspace.encoders.heap import reused_heap, trim_heap

SCRIPT = """
import resource
import numpy as np
from contextlib import nullcontext
from commonspace.encoders.heap import reused_heap

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

with {block}:
    np.ones(2**23)  # 64 MiB, above what glibc keeps by itself
    before = faults()
    for _ in range(20):
        np.ones(2**23)
    print(faults() - before)
"""


def faults(block: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(block=block)],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="page faults of glibc")
def test_large_blocks_are_not_faulted_in_again() -> None:
    assert faults("reused_heap()") < faults("nullcontext()") / 5


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory as Linux tells it")
def test_memory_is_given_back_after_the_block() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    trim_heap()
    before = resident()
    with reused_heap():
        np.ones(2**25)
        held = resident()
    assert held - before > 2**27
    assert resident() - before < 2**26
