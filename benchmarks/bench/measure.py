"""Measurement side by side: warm, interleaved rounds in one process, median and spread."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Literal, NamedTuple

__all__ = [
    "ROUNDS",
    "Bar",
    "Measured",
    "Rival",
    "Size",
    "Work",
    "measure",
    "processor_seconds",
    "table",
]

Size = Literal["smallest", "usual", "full"]
"""How large the works are: seconds in all, ten minutes, an hour."""

ROUNDS = 9
"""Largest number of rounds."""
FEWEST = 3
"""Smallest number of rounds."""
SECONDS = 25.0
"""A work starts no further round after so long."""


class Rival(NamedTuple):
    """What a work is compared with: its name, and a call that does the same work."""

    name: str
    run: Callable[[], object]


class Bar(NamedTuple):
    """The largest value that is wanted of a ratio, or of the seconds."""

    of: Literal["peer", "limit", "seconds"]
    most: float


@dataclass(frozen=True)
class Work:
    """One row of the table.

    Args:
        name: What is done, with its sizes.
        ours: Does it with this package.
        peer: Does it with another program.
        limit: The part of it that no program can leave out on this machine.
        bars: What is wanted.
        check: Raises an AssertionError unless all give the same result, called once.
        rounds: Largest number of rounds.
    """

    name: str
    ours: Callable[[], object]
    peer: Rival | None = None
    limit: Rival | None = None
    bars: tuple[Bar, ...] = ()
    check: Callable[[], None] | None = None
    rounds: int = ROUNDS


@dataclass(frozen=True)
class Measured:
    """Seconds of each round of a work.

    Args:
        work: What was measured.
        seconds: "ours", "peer" and "limit", where there is one -> a value for each round.
    """

    work: Work
    seconds: Mapping[str, list[float]] = field(default_factory=dict)

    def ratios(self, rival: str) -> list[float]:
        """Return ours / rival of each round."""
        return [
            ours / other
            for ours, other in zip(self.seconds["ours"], self.seconds[rival], strict=True)
        ]

    def value(self, bar: Bar) -> float:
        """Return the median that a bar is about."""
        return median(self.seconds["ours"] if bar.of == "seconds" else self.ratios(bar.of))

    def cells(self) -> list[str]:
        """Return the cells of the row."""
        rivals = {"peer": self.work.peer, "limit": self.work.limit}
        cells = [self.work.name, _seconds(self.seconds["ours"])]
        for key, rival in rivals.items():
            cells.append(f"{rival.name}: {_seconds(self.seconds[key])}" if rival else "")
        cells += [_spread(self.ratios(key)) if rival else "" for key, rival in rivals.items()]
        said = []
        for bar in self.work.bars:
            name = "ours" if bar.of == "seconds" else f"ours/{bar.of}"
            unit = " s" if bar.of == "seconds" else ""
            met = "met" if self.value(bar) <= bar.most else "open"
            said.append(f"{name} <= {bar.most:.3g}{unit}: {met}")
        return [*cells, "; ".join(said)]


def measure(
    work: Work, seconds: float = SECONDS, clock: Callable[[], float] = time.perf_counter
) -> Measured:
    """Run all sides of a work once to warm up, then in rounds, each side once, in turning order.

    Other load of the machine affects the sides of a round alike, so that their ratio is of use
    where the seconds are not.

    Args:
        work: What to measure.
        seconds: No further round starts after so long; there are at least three.
        clock: Returns seconds: ``processor_seconds`` counts those of the processor, which other
            load changes less.
    """
    sides: dict[str, Callable[[], object]] = {"ours": work.ours}
    if work.peer:
        sides["peer"] = work.peer.run
    if work.limit:
        sides["limit"] = work.limit.run
    if work.check:
        work.check()
    else:
        for run in sides.values():
            run()
    found: dict[str, list[float]] = {side: [] for side in sides}
    begin, names = time.perf_counter(), list(sides)
    for number in range(work.rounds):
        if number >= FEWEST and time.perf_counter() - begin > seconds:
            break
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            start = clock()
            sides[name]()
            found[name].append(clock() - start)
    return Measured(work, found)


def processor_seconds() -> float:
    """Return the seconds of the processor of this process and of all that have ended under it."""
    return sum(os.times()[:4])


HEAD = ["work", "ours", "peer", "limit", "ours/peer", "ours/limit", "bar"]


def table(rows: list[Measured]) -> str:
    """Return the rows as a table in Markdown."""
    lines = [HEAD, ["---"] * len(HEAD), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _seconds(values: list[float]) -> str:
    middle = median(values)
    if middle < 0.1:
        return f"{1000 * middle:.3g} ms"
    return f"{middle:.3g} s"


def _spread(ratios: list[float]) -> str:
    """Return the median, and the smallest and the largest value."""
    return f"{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
