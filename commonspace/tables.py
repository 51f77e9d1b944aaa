"""Tables of text: printed in a terminal, shown in a notebook, or turned into a data frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from commonspace.extras import optional

__all__ = ["Table", "to_frame"]


@dataclass(frozen=True)
class Table:
    """A table whose cells are already formatted.

    Args:
        title: the line above it.
        head: column names.
        rows: cells, one sequence for each row, as long as ``head``.
        notes: lines below it.

    Example:
        >>> print(Table("mAP", ["direction", "mAP"], [["image->text", "0.301"]]))
        mAP
        direction      mAP
        -----------  -----
        image->text  0.301
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def __str__(self) -> str:
        """Return aligned text: the first column left, the others right."""
        lines = [list(self.head), *map(list, self.rows)]
        widths = [max(len(line[n]) for line in lines) for n in range(len(self.head))]
        text = ["  ".join(_align(line, widths)).rstrip() for line in lines]
        text.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join([self.title, *text, *self.notes])

    def to_html(self) -> str:
        """Return a ``<table>`` element; every text is escaped."""
        head = "".join(f"<th>{escape(name)}</th>" for name in self.head)
        body = "".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in self.rows
        )
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return (
            f"<table><caption>{escape(self.title)}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{notes}"
        )


def to_frame(rows: Sequence[dict[str, Any]], index: str) -> Any:  # noqa: ANN401 - pandas is optional
    """Return a pandas ``DataFrame`` with one row for each mapping.

    Args:
        rows: column name -> value.
        index: the column that becomes the index.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    frame = optional("pandas", "a data frame", "pandas").DataFrame(list(rows))
    return frame.set_index(index)


def _align(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        cell.rjust(width) if number else cell.ljust(width)
        for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
