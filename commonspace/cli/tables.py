"""Tables in the terminal."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from commonspace.evaluation import EvaluationReport

__all__ = ["print_report", "print_table"]


def print_report(title: str, report: EvaluationReport) -> None:
    """Print an evaluation report on standard output, and its warnings on standard error.

    Args:
        title: of the table.
        report: what ``evaluate`` returned.
    """
    table = report.to_table()
    print_table(title, ["", *table.head[1:]], table.rows)
    if report.pairs is not None:
        pairs = report.pairs.to_table()
        if report:
            print_table("pairs", pairs.head, pairs.rows)
        for note in pairs.notes:
            Console(soft_wrap=True, highlight=False).print(Text(note))
    for note in report.oracle_notes():
        Console(soft_wrap=True, highlight=False).print(Text(note))
    for warning in report.warnings:
        Console(stderr=True, soft_wrap=True, highlight=False).print(Text(f"warning: {warning}"))


def print_table(
    title: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, wrap_names: bool = False
) -> None:
    """Print a table on standard output: the first column to the left, the others to the right.

    Args:
        title: the line above it.
        head: the name of each column.
        rows: the cells, as many in each row as there are columns.
        wrap_names: in a narrow terminal, break the lines of the first column, not of the others.
    """
    table = Table(
        title=Text(title, style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for number, name in enumerate(head):
        table.add_column(
            name,
            justify="right" if number else "left",
            no_wrap=bool(number) == wrap_names,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
