"""Freed memory is reused in the block, and given back after it."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory as Linux tells it")

FAULTS = """
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

RESIDENT = """
import json
import resource
from pathlib import Path
import numpy as np
from commonspace.encoders.heap import reused_heap

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

found = [resident()]
with reused_heap():
    np.ones(2**25)
    found.append(resident())
found.append(resident())
print(json.dumps(found))
"""


def told(script: str) -> str:
    """Return what a process of its own prints: thresholds of malloc hold for a whole process."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_large_blocks_are_not_faulted_in_again() -> None:
    reused, usual = (
        int(told(FAULTS.format(block=block))) for block in ("reused_heap()", "nullcontext()")
    )
    assert reused < usual / 5


def test_memory_is_given_back_after_the_block() -> None:
    before, held, after = json.loads(told(RESIDENT))
    assert held - before > 2**27
    assert after - before < 2**26
