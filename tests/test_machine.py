"""Device, precision, threads and memory settings of this machine."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from commonspace import machine

needs_glibc = pytest.mark.skipif(sys.platform != "linux", reason="glibc is needed")

FAULTS = """
import resource
import numpy as np
from contextlib import nullcontext
from commonspace.machine import reuse_memory

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
from commonspace.machine import reuse_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

sizes = [resident()]
with reuse_memory():
    np.ones(2**25)
    sizes.append(resident())
sizes.append(resident())
print(json.dumps(sizes))
"""


def run_script(script: str) -> str:
    """Return the output of a script in a new process: settings of malloc apply to all of it."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_one_thread_applies_inside_the_block() -> None:
    def threads() -> set[int]:
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    np.linalg.eigh(np.eye(3))  # loads the BLAS
    before = threads()
    with machine.one_thread():
        assert threads() == {1}
    assert threads() == before


def test_default_jobs_are_one_a_core_or_one_on_an_accelerator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if hasattr(os, "sched_getaffinity"):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 6})
        assert machine.available_cores() == 3
    for device, expected in (("cpu", machine.available_cores()), ("cuda", 1)):
        monkeypatch.setattr(machine, "choose_device", lambda _, name=device: torch.device(name))
        assert machine.default_jobs() == expected


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
