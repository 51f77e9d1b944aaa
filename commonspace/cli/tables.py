"""Figures as tables for a terminal. It computes nothing."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from commonspace.data import Dataset
from commonspace.evaluation import chance_level

__all__ = ["print_report", "print_table"]


def print_report(title: str, report: Mapping[str, Mapping[str, Any]], data: Dataset) -> None:
    """Print what ``evaluate`` measured, with the level of chance beside it.

    Args:
        title: of the table.
        report: direction -> figures by name, and "average" last.
        data: the samples that were measured on.
    """
    figures = list(report["average"])
    counts = ("queries", "gallery")
    rows = []
    chances: list[float] = []
    for direction, values in report.items():
        if direction == "average":
            chance = float(np.mean(chances))
        else:
            chances.append(chance_level(*(_labels(data, name) for name in direction.split("->"))))
            chance = chances[-1]
        rows.append(
            [
                direction,
                *(f"{values[name]:.3f}" for name in figures),
                f"{chance:.3f}",
                *(str(values.get(count, "")) for count in counts),
            ]
        )
    names = [figure.replace("map", "mAP") for figure in figures]
    print_table(title, ["", *names, "chance", *counts], rows)


def print_table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on standard output: the first column to the left, the others to the right.

    Args:
        title: the line above it.
        head: the name of each column.
        rows: the cells, as many in each row as there are columns.
    """
    table = Table(title=Text(title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD)
    for number, name in enumerate(head):
        table.add_column(name, justify="right" if number else "left")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def _labels(data: Dataset, modality: str) -> NDArray[np.bool_]:
    return data.labels[data.columns[modality].present]
