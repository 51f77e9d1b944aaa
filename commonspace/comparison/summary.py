"""From the cells of a grid to the lines of its table: means, intervals, and who really differs.

It fits nothing and writes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.comparison.cells import Record
from commonspace.comparison.difference import Difference, differences
from commonspace.comparison.grid import Outcome
from commonspace.errors import SettingError
from commonspace.evaluation import Interval
from commonspace.evaluation.intervals import crossed_interval, sample_contributions

__all__ = ["Line", "summarise"]

RESAMPLES = 10_000


@dataclass(frozen=True)
class Line:
    """A row of the table."""

    name: str
    seeds: int
    trials: int
    directions: Mapping[str, float]
    """Direction -> mAP on the test part, the mean over the seeds."""
    average: Interval | None
    """The mean over the directions; its 95 % interval is over seeds and queries."""
    over_seeds: float | None
    """The standard deviation of the average over the seeds; None with one cell."""
    validation: float | None
    """The average mAP on the validation part, the mean over the seeds."""
    difference: Difference | None
    """None for the chosen row, and where there is nothing to compare."""
    cpu_seconds: float | None
    """Of one fit: seconds of one core, the mean over the seeds whose fit was not interrupted."""
    seconds: float | None
    """The same by the clock, which other work on the machine makes longer."""
    bytes: int | None
    """Of the vector of one item, in float32."""
    settings: Mapping[str, Any]
    """What was chosen of its search."""
    best_on_test: float | None
    """The average mAP of the best epoch or trial on the test part: not a result. None where it was
    not noted, or where the method has neither."""
    failed: str
    """Why there are no cells, or not all."""


def summarise(outcome: Outcome, against: str | None = None) -> list[Line]:
    """Return a line for each row, in the order of the grid.

    Args:
        outcome: of the grid, whole or in part.
        against: the row to compare with; None tells no differences.

    Raises:
        SettingError: there is no such row.
    """
    if against is not None and against not in outcome.cells:
        raise SettingError(
            "the row to compare with is not in the table",
            expected=f"one of {', '.join(outcome.cells)}",
            found=repr(against),
            advice="name a method that is compared",
        )
    tables = {name: _table(list(cells.values())) for name, cells in outcome.cells.items() if cells}
    found = differences(tables, against) if against in tables else {}
    return [_line(name, outcome, tables.get(name), found.get(name)) for name in outcome.cells]


def _table(cells: Sequence[Record]) -> NDArray[np.float64]:
    """Return (s, n): what each sample adds to the average mAP, for each seed."""
    return np.stack(
        [
            sample_contributions(
                [[np.nan if one is None else one for one in row] for row in _precisions(cell)]
            )
            for cell in cells
        ]
    )


def _precisions(cell: Record) -> list[list[float | None]]:
    return list(cell["average_precision"].values())


def _line(
    name: str,
    outcome: Outcome,
    table: NDArray[np.float64] | None,
    difference: Difference | None,
) -> Line:
    cells = list(outcome.cells[name].values())
    means = table.mean(axis=1) if table is not None else np.empty(0)
    return Line(
        name=name,
        seeds=len(cells),
        trials=outcome.trials[name],
        directions={
            direction: float(np.mean([cell["map"][direction] for cell in cells]))
            for direction in (cells[0]["map"] if cells else ())
        },
        average=None if table is None else _interval(table),
        over_seeds=float(means.std(ddof=1)) if len(means) > 1 else None,
        validation=_mean([cell["validation_map"] for cell in cells]),
        difference=difference,
        cpu_seconds=_mean([cell["cpu_seconds"] for cell in cells]),
        seconds=_mean([cell["seconds"] for cell in cells]),
        bytes=cells[0]["bytes"] if cells else None,
        settings=outcome.settings[name],
        best_on_test=_mean([cell.get("best_on_test") for cell in cells]),
        failed=outcome.failed.get(name, ""),
    )


def _interval(table: NDArray[np.float64]) -> Interval:
    return crossed_interval(table, np.random.default_rng(0), resamples=RESAMPLES)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
