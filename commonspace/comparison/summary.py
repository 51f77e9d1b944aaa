"""Summary of a benchmark: means, confidence intervals and significance for each method."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.comparison.benchmark import BenchmarkResult
from commonspace.comparison.difference import Difference, differences
from commonspace.comparison.runs import Record
from commonspace.errors import SettingError
from commonspace.evaluation import Interval
from commonspace.evaluation.intervals import crossed_interval, sample_contributions

__all__ = ["MethodSummary", "summarize"]

RESAMPLES = 10_000


@dataclass(frozen=True)
class MethodSummary:
    """The figures of one method, a row of the table."""

    name: str
    seeds: int
    trials: int
    directions: Mapping[str, float]
    """Direction -> mAP on the test split, the mean over the seeds."""
    average: Interval | None
    """The mean over the directions; its 95 % interval is over seeds and queries."""
    standard_deviation: float | None
    """Standard deviation of the average over the seeds; None with one seed."""
    validation_map: float | None
    """Average mAP on the validation split, the mean over the seeds."""
    difference: Difference | None
    """From the baseline; None for the baseline itself, and where there are no runs."""
    cpu_seconds: float | None
    """CPU seconds of one fit, the mean over the seeds whose fit was not interrupted."""
    seconds: float | None
    """Seconds of one fit by the clock, which depend on the load of the machine."""
    bytes: int | None
    """Size of one embedding in float32; of a binary code, one bit a number."""
    settings: Mapping[str, Any]
    """Tuned settings."""
    best_on_test: float | None
    """Average test mAP of the best epoch or trial: not a result. None where it was not recorded, or
    where the method has neither."""
    failed: str
    """Why there are no runs, or not all."""
    class_map: Mapping[str, float]
    """Class -> mAP of its queries, the mean over seeds and directions."""


def summarize(result: BenchmarkResult, baseline: str | None = None) -> list[MethodSummary]:
    """Return the figures of each method, in the order of the benchmark.

    Args:
        result: of the benchmark, complete or not.
        baseline: the method that the others are compared with; None for no comparison.

    Raises:
        SettingError: the baseline is unknown.
    """
    if baseline is not None and baseline not in result.runs:
        raise SettingError(
            "the baseline is not among the methods",
            expected=f"one of {', '.join(result.runs)}",
            found=repr(baseline),
            advice="choose a method that is compared",
        )
    tables = {name: _table(list(runs.values())) for name, runs in result.runs.items() if runs}
    tested = differences(tables, baseline) if baseline in tables else {}
    return [_summary(name, result, tables.get(name), tested.get(name)) for name in result.runs]


def _table(runs: Sequence[Record]) -> NDArray[np.float64]:
    """Return (s, n): the contribution of each sample to the average mAP, for each seed."""
    return np.stack(
        [
            sample_contributions(
                [
                    [np.nan if value is None else value for value in row]
                    for row in run["average_precision"].values()
                ]
            )
            for run in runs
        ]
    )


def _summary(
    name: str,
    result: BenchmarkResult,
    table: NDArray[np.float64] | None,
    difference: Difference | None,
) -> MethodSummary:
    runs = list(result.runs[name].values())
    means = table.mean(axis=1) if table is not None else np.empty(0)
    classes = [run["class_map"] for run in runs if "class_map" in run]
    return MethodSummary(
        name=name,
        seeds=len(runs),
        trials=result.trials[name],
        directions={
            direction: float(np.mean([run["map"][direction] for run in runs]))
            for direction in (runs[0]["map"] if runs else ())
        },
        average=None if table is None else _interval(table),
        standard_deviation=float(means.std(ddof=1)) if len(means) > 1 else None,
        validation_map=_mean([run["validation_map"] for run in runs]),
        difference=difference,
        cpu_seconds=_mean([run["cpu_seconds"] for run in runs]),
        seconds=_mean([run["seconds"] for run in runs]),
        bytes=runs[0]["bytes"] if runs else None,
        settings=result.settings[name],
        best_on_test=_mean([run.get("best_on_test") for run in runs]),
        failed=result.failed.get(name, ""),
        class_map={
            label: float(np.mean([one[label] for one in classes]))
            for label in (classes[0] if classes else ())
        },
    )


def _interval(table: NDArray[np.float64]) -> Interval:
    return crossed_interval(table, np.random.default_rng(0), resamples=RESAMPLES)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
