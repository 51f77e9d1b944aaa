"""Time and memory of mean_average_precision, compared with a plain argsort of the score matrix.

    python benchmarks/mean_average_precision.py            all sizes, and an extrapolation
    python benchmarks/mean_average_precision.py --full     only 100,000 x 100,000

Every measurement runs in a separate process, so that its memory peak is its own. Vectors are
random.
"""

import argparse
import multiprocessing
import resource
import sys
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from commonspace.evaluation import mean_average_precision

__all__ = ["main"]

CLASSES = 10
PEAK_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes


@dataclass(frozen=True)
class Measurement:
    """Cost of one run: wall-clock seconds, CPU seconds, peak bytes beyond the inputs."""

    seconds: float
    processor: float
    extra: int
    value: float


def main() -> None:
    """Run the measurements and print them as a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="only 100,000 x 100,000: minutes")
    full = parser.parse_args().full
    print(
        f"{'items':>16} {'size':>5} {'way':>8} {'seconds':>9} {'cores s':>9} {'extra MiB':>10}  mAP"
    )
    if full:
        _report(100_000, 64, "ours")
        return
    ours = {
        (items, size): _report(items, size, "ours")
        for items, size in [(10_000, 64), (10_000, 1024), (20_000, 64)]
    }
    for size in (64, 1024):
        plain = _report(10_000, size, "argsort")
        ratio = ours[10_000, size].seconds / plain.seconds
        print(f"  {size}-d: {ratio:.2f} of the seconds of the plain argsort")
    # The pairs grow by 25, and the sorting of each row by the logarithm of its length.
    factor = 25 * np.log(100_000) / np.log(20_000)
    minutes = ours[20_000, 64].seconds * factor / 60
    print(f"  100,000 x 100,000 of 64-d, extrapolated from 20,000: {minutes:.1f} minutes")


def _report(items: int, size: int, way: str) -> Measurement:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply(_measure, (items, size, way))
    cells = f"{items:,} x {items:,}".rjust(16), f"{size:>5}", f"{way:>8}"
    costs = f"{found.seconds:9.2f} {found.processor:9.2f} {found.extra / 2**20:10.0f}"
    print(*cells, f"{costs}  {found.value:.6f}", flush=True)
    return found


def _measure(items: int, size: int, way: str) -> Measurement:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, (2, items))
    centres = rng.standard_normal((CLASSES, size), dtype=np.float32) / 4
    query, gallery = np.empty((2, items, size), dtype=np.float32)
    for vectors, side in zip((query, gallery), labels, strict=True):
        # In small pieces, so that drawing them does not raise the peak before the measurement.
        for rows in np.array_split(np.arange(items), 100):
            vectors[rows] = centres[side[rows]] + rng.standard_normal(
                (len(rows), size), dtype=np.float32
            )
    mean_average_precision(query[:100], gallery[:100], labels[0, :100], labels[1, :100])  # warm up
    measure = mean_average_precision if way == "ours" else _plain
    before = _peak()
    start, busy = time.perf_counter(), time.process_time()
    value = measure(query, gallery, labels[0], labels[1])
    seconds, processor = time.perf_counter() - start, time.process_time() - busy
    return Measurement(seconds, processor, _peak() - before, value)


def _plain(
    query: NDArray[np.float32],
    gallery: NDArray[np.float32],
    query_labels: NDArray[np.intp],
    gallery_labels: NDArray[np.intp],
) -> float:
    """Return the mAP from the whole score matrix, sorted row by row."""
    scores = query @ gallery.T
    values = []
    for row, label in zip(scores, query_labels, strict=True):
        relevant = gallery_labels[np.argsort(-row)] == label
        ranks = np.flatnonzero(relevant) + 1
        values.append((np.arange(1, ranks.size + 1) / ranks).mean() if ranks.size else 0.0)
    return float(np.mean(values))


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * PEAK_UNIT


if __name__ == "__main__":
    main()
