"""The script for a machine with a GPU, rehearsed on the CPU."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_script_for_a_gpu_runs_in_its_smallest_size_on_the_cpu(tmp_path: Path) -> None:
    said = {"SMALLEST": "1", "DEVICE": "cpu", "PYTHON": sys.executable, "OUT": str(tmp_path)}
    done = subprocess.run(
        [ROOT / "benchmarks" / "gpu.sh"],
        env={**os.environ, **said},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")][2:]
    kinds = ("DSCMR, 4 steps of", "DSCMR, 4 steps as a graph", "mAP", "kernel", "extraction")
    assert [row.removeprefix("| ")[: len(kind)] for row, kind in zip(rows, kinds, strict=True)] == [
        *kinds
    ]
    assert (tmp_path / "gpu.txt").read_text("utf-8") == done.stdout
