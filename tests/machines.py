"""Run the numeric part of the test suite as other processors would.

    python tests/machines.py          # all combinations (25, hours)
    python tests/machines.py --one    # one that differs from this machine
    python tests/machines.py --list

A combination limits the instructions of PyTorch (ATEN_CPU_CAPABILITY) and of oneDNN
(ONEDNN_MAX_CPU_ISA), sets the number of threads (OMP_NUM_THREADS), and makes
`torch.cpu.get_capabilities()` report bfloat16 multiplication or not. One more combination changes
every product by some units in the last place, by the shape of the batch (`other_rounding` in
tests/conftest.py). Exits with 1 if one fails.
"""

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]

AXES = {
    "ATEN_CPU_CAPABILITY": ("default", "avx2"),
    "ONEDNN_MAX_CPU_ISA": ("DEFAULT", "AVX2", "AVX512_CORE"),
    "OMP_NUM_THREADS": ("1", "2"),
    "COMMONSPACE_TEST_BFLOAT16": ("absent", "present"),  # read by tests/conftest.py
}

NUMERIC_TESTS = (
    "tests/losses",
    "tests/networks",
    "tests/training",
    "tests/methods",
    "tests/encoders",
    "tests/evaluation",
    "tests/retrieval/test_embedder.py",
    "tests/cli/test_extract.py",
    "tests/test_space.py",
)


def all_combinations() -> list[dict[str, str]]:
    """Return every combination as environment variables."""
    usual = [dict(zip(AXES, values, strict=True)) for values in itertools.product(*AXES.values())]
    return [*usual, {"OMP_NUM_THREADS": "1", "COMMONSPACE_TEST_ROUNDING": "other"}]


def other_machine() -> dict[str, str]:
    """Return a combination that differs from this machine on every axis."""
    wide = torch.backends.cpu.get_cpu_capability() == "AVX512"
    abilities = torch.cpu.get_capabilities()
    bfloat16 = bool(abilities.get("avx512_bf16") or abilities.get("amx_bf16"))
    return {
        "ATEN_CPU_CAPABILITY": "avx2" if wide else "default",
        "ONEDNN_MAX_CPU_ISA": "AVX2" if wide else "DEFAULT",
        "OMP_NUM_THREADS": "2",  # `make test` uses 1
        "COMMONSPACE_TEST_BFLOAT16": "absent" if bfloat16 else "present",
    }


def test(combination: dict[str, str], paths: tuple[str, ...]) -> bool:
    """Run the tests under a combination; return whether they passed."""
    label = " ".join(f"{name}={value}" for name, value in combination.items())
    print(f"== {label}", flush=True)
    workers = ["-n", "2"] if combination["OMP_NUM_THREADS"] == "1" else []
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not slow and not browser", *workers]
    start = time.monotonic()
    done = subprocess.run(
        [*command, *paths],
        cwd=ROOT,
        env=os.environ | combination | {"OMP_WAIT_POLICY": "passive"},
    )
    result = "passed" if done.returncode == 0 else "FAILED"
    print(f"== {result} in {time.monotonic() - start:.0f} s: {label}", flush=True)
    return done.returncode == 0


def main() -> int:
    """Run what the command line names."""
    options = {word for word in sys.argv[1:] if word.startswith("--")}
    paths = tuple(word for word in sys.argv[1:] if not word.startswith("--")) or NUMERIC_TESTS
    combinations = [other_machine()] if "--one" in options else all_combinations()
    if "--list" in options:
        for combination in combinations:
            print(combination)
        return 0
    failed = [combination for combination in combinations if not test(combination, paths)]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
