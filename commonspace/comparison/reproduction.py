"""Measured figures beside the published ones of the same benchmark. It measures nothing itself."""

from collections.abc import Mapping, Sequence

from commonspace.comparison.published import (
    ABLATIONS,
    COMPARISONS,
    DEEP,
    SHALLOW_WIKIPEDIA,
    Published,
)
from commonspace.comparison.summary import Line
from commonspace.data import Dataset, Features

__all__ = ["beside", "comparable", "published_for", "sizes_of"]


def sizes_of(data: Dataset) -> dict[str, int]:
    """Return modality -> size of its features."""
    return {name: one.size for name, one in data.columns.items() if isinstance(one, Features)}


def published_for(benchmark: str, sizes: Mapping[str, int]) -> tuple[Published, ...]:
    """Return the published rows that features of these sizes can be held against.

    Ablations that were not published on this benchmark have no row.

    Args:
        benchmark: one of ``BENCHMARKS``.
        sizes: modality -> size of its features.
    """
    if benchmark == "wikipedia" and sizes == {"image": 128, "text": 10}:
        return SHALLOW_WIKIPEDIA
    return (*COMPARISONS[benchmark], *ABLATIONS.get(benchmark, ()))


def beside(
    lines: Sequence[Line], published: Sequence[Published]
) -> tuple[list[str], list[list[str]]]:
    """Return the head and the cells of a table: measured, published, difference.

    Methods of the published table that are not here are shown with their published figure alone;
    methods that were not published, with the measured one alone.

    Args:
        lines: what was measured, with the best on test noted.
        published: what to hold it against.
    """
    measured = {line.name: line for line in lines}
    head = ["method", "ours", "interval", "best on test", "published", "ours - published"]
    rows = [_row(one.method, measured.get(one.row or ""), one) for one in published]
    known = {one.row for one in published}
    return head, rows + [_row(line.name, line, None) for line in lines if line.name not in known]


def comparable(sizes: Mapping[str, int], published: Sequence[Published]) -> bool:
    """Tell whether the features have the sizes of those that the published figures are on."""
    return published is SHALLOW_WIKIPEDIA or sizes == DEEP


def _row(method: str, line: Line | None, published: Published | None) -> list[str]:
    average = line.average if line else None
    best = line.best_on_test if line else None
    return [
        method,
        f"{average.mean:.3f}" if average else "-",
        f"{average.low:.3f}-{average.high:.3f}" if average else "-",
        "-" if best is None else f"{best:.3f}",
        f"{published.average:.3f}" if published else "-",
        f"{average.mean - published.average:+.3f}" if average and published else "-",
    ]
