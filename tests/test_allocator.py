"""Memory of the allocator, kept between batches and returned to the system."""

import json
import subprocess
import sys

import pytest

needs_glibc = pytest.mark.skipif(sys.platform != "linux", reason="glibc is needed")

FAULTS = """
import resource
import numpy as np
from contextlib import nullcontext
from commonspace.allocator import reuse_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

with {block}:
    np.ones(2**23)  # 64 MiB, above what glibc keeps by default
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
from commonspace.allocator import reuse_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

sizes = [resident()]
with reuse_memory():
    np.ones(2**25)
    sizes.append(resident())
sizes.append(resident())
print(json.dumps(sizes))
"""


THREADS = """
import threading
from pathlib import Path
import json
import resource
import numpy as np
from commonspace.allocator import share_one_arena, trim_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

{first}
large = np.ones(2**21)  # 16 MiB: smaller blocks are no longer mappings of their own after it
del large
sizes = [resident()]

def work():
    held = [np.ones(2**17) for _ in range(12)]  # 12 blocks of 1 MiB
    barrier.wait()

barrier = threading.Barrier(8)
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
trim_memory()
print(json.dumps([*sizes, resident()]))
"""


def run_script(script: str) -> str:
    """Return the output of a script in a new process: settings of malloc apply to all of it."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_glibc
def test_large_blocks_are_not_faulted_in_again() -> None:
    reused, usual = (
        int(run_script(FAULTS.format(block=block))) for block in ("reuse_memory()", "nullcontext()")
    )
    assert reused < usual / 5


@needs_glibc
def test_memory_is_given_back_after_the_block() -> None:
    before, held, after = json.loads(run_script(RESIDENT))
    assert held - before > 2**27
    assert after - before < 2**26


@needs_glibc
def test_memory_of_threads_that_share_an_arena_is_returned() -> None:
    before, after = json.loads(run_script(THREADS.format(first="share_one_arena()")))
    assert after - before < 2**22, f"{(after - before) / 2**20:.0f} MiB of 96 stay"
    before, after = json.loads(run_script(THREADS.format(first="")))
    assert after - before > 2**24  # with an arena each, glibc keeps most of it
