"""Speed side by side: one table of ratios to other programs and to the limit of this machine.

    python -m benchmarks.bench                    ten minutes
    python -m benchmarks.bench --full             40 minutes
    python -m benchmarks.bench --only mAP         works whose name contains a text
    python -m benchmarks.bench --write            also write the table into docs/figures.md

A row is one kind of work on the same data in one process: ours, another program's, and the part
that no program can leave out on this machine. All sides are run once to warm up, and their results
compared; then they are timed in rounds, each side once a round. A ratio is the median over the
rounds, with the smallest and the largest in parentheses.
"""

import argparse
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch

from benchmarks.bench import commands, encoders, evaluation, posteriors, search, training
from benchmarks.bench.measure import (
    SECONDS,
    Measured,
    Size,
    Work,
    measure,
    processor_seconds,
    table,
)
from commonspace import __version__

__all__ = ["main", "run"]

SUITES: dict[str, Callable[[Size], Iterable[Work]]] = {
    "evaluation": evaluation.works,
    "training": training.works,
    "posteriors": posteriors.works,
    "search": search.works,
    "encoders": encoders.works,
    "commands": commands.works,
}
PAGE = Path(__file__).parents[2] / "docs" / "figures.md"
BEGIN, END = "<!-- bench -->", "<!-- /bench -->"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bench",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--full", action="store_true", help="all sizes: an hour")
    parser.add_argument("--smallest", action="store_true", help="seconds; checks the results only")
    parser.add_argument("--only", nargs="+", default=[""], help="works whose name contains a text")
    parser.add_argument(
        "--processor", action="store_true", help="seconds of the processor, for a busy machine"
    )
    parser.add_argument("--write", action="store_true", help="write docs/figures.md")
    options = parser.parse_args(arguments)
    size: Size = "full" if options.full else "smallest" if options.smallest else "usual"
    clock = processor_seconds if options.processor else time.perf_counter
    rows = run(size, options.only, clock)
    text = f"{_machine(clock)}\n\n{table(rows)}"
    print(text)
    if options.write:
        PAGE.write_text(with_table(PAGE.read_text("utf-8"), text), "utf-8")
        print(f"written to {PAGE}", file=sys.stderr)


def run(
    size: Size,
    only: Sequence[str] = ("",),
    clock: Callable[[], float] = time.perf_counter,
) -> list[Measured]:
    """Measure all works of a size whose name contains one of some texts.

    Raises:
        SystemExit: No work has such a name.
    """
    seconds = 0.1 if size == "smallest" else SECONDS
    rows = []
    for works in SUITES.values():
        for work in works(size):
            if any(text in work.name for text in only):
                start = time.perf_counter()
                print(f"{work.name} ...", end=" ", file=sys.stderr, flush=True)
                rows.append(measure(work, seconds, clock))
                print(f"{time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    if not rows:
        sys.exit(f"no work has a name with {' or '.join(map(repr, only))}")
    return rows


def with_table(page: str, text: str) -> str:
    """Return a page with another text between its marks."""
    block = f"{BEGIN}\n{text}\n{END}"
    return re.sub(f"{BEGIN}.*?{END}", lambda _: block, page, flags=re.DOTALL)


def _machine(clock: Callable[[], float]) -> str:
    """Return when and where the figures were measured."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    day = datetime.now(UTC).strftime("%-d %B %Y")
    kind = "of the processor, " if clock is processor_seconds else ""
    return (
        f"Version {__version__}, {day}, {platform.machine()} with"
        f" {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads,"
        f" load {load:.1f} at the end. Seconds are {kind}medians; ratios are medians of the rounds,"
        " with the smallest and the largest."
    )


if __name__ == "__main__":
    main()
