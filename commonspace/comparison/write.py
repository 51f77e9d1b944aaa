"""The table of a comparison as files: Markdown and LaTeX to show, CSV and JSON to work with.

It formats lines and computes nothing.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from commonspace.atomic import replace_file
from commonspace.comparison.summary import Line
from commonspace.extras import optional

__all__ = ["NOTE", "columns", "laid_out", "write_reproduction", "write_tables"]

LEVEL = 0.05

NOTE = (
    "mAP over the whole ranking on the test part, the mean over the seeds. Interval: 95 %, by"
    " bootstrap over seeds and test samples together. Settings and epochs are chosen on validation."
    " p: the largest of a paired randomisation test over the test samples, Welch's t test over the"
    " seeds and a t test over both, after Holm's correction for the number of rows; * marks"
    " p < .05. Seconds: of one core, for one fit. Bytes: of the vector of one item in float32."
)
AS_PUBLISHED = (
    " Best on test: what choosing the epoch, or the setting inside the method, on the test part"
    " would have given. It is no result; the column beside it says by how much it flatters."
)


def columns(lines: Sequence[Line], against: str | None) -> tuple[list[str], list[list[str]]]:
    """Return the head of the table and its cells, as people read them.

    Args:
        lines: of the table.
        against: the row that the others were compared with.
    """
    directions = list(next((line.directions for line in lines if line.directions), {}))
    noted = any(line.best_on_test is not None for line in lines)
    head = [
        "method",
        *directions,
        "average",
        "interval",
        *([f"against {against}", "p"] if against else []),
        *(["best on test", "excess"] if noted else []),
        "seconds",
        "bytes",
        "seeds",
        "trials",
    ]
    return head, [_cells(line, directions, against, noted) for line in lines]


def laid_out(head: Sequence[str], rows: Sequence[Sequence[str]], form: str) -> str:
    """Return a table as text.

    Args:
        head: the name of each column.
        rows: its cells, the first column to the left, the others to the right.
        form: what tabulate calls it: "pipe" for Markdown, "latex_booktabs".

    Raises:
        MissingExtraError: the package that lays out tables is not installed.
    """
    tabulate = optional("tabulate", "laying out tables", "compare").tabulate
    if form == "pipe":  # whose own sign tabulate leaves as it is
        head, rows = _escaped(head), [_escaped(row) for row in rows]
    align = ("left", *["right"] * (len(head) - 1))
    table: str = tabulate(rows, head, tablefmt=form, disable_numparse=True, colalign=align)
    return table


def write_tables(folder: Path, lines: Sequence[Line], against: str | None, title: str) -> None:
    """Write ``table.md``, ``table.tex``, ``table.csv`` and ``table.json`` into a folder.

    Earlier ones are replaced: they follow from the cells.

    Raises:
        OutputError: a file cannot be written.
        MissingExtraError: the package that lays out tables is not installed.
    """
    for name, text in (
        ("table.md", _markdown(lines, against, title)),
        ("table.tex", _latex(lines, against)),
        ("table.json", _json(lines, against, title)),
    ):
        with replace_file(folder / name, overwrite=True) as draft:
            draft.write_text(text, "utf-8")
    with replace_file(folder / "table.csv", overwrite=True) as draft:
        rows = [_flat(line) for line in lines]
        head = list(dict.fromkeys(key for row in rows for key in row))
        with draft.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, head)
            writer.writeheader()
            writer.writerows(rows)


def write_reproduction(
    folder: Path, title: str, head: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    """Write ``reproduction.md`` into a folder, in place of an earlier one.

    Args:
        folder: which.
        title: of the page.
        head: of the table.
        rows: its cells.

    Raises:
        OutputError: it cannot be written.
        MissingExtraError: the package that lays out tables is not installed.
    """
    text = f"# {title}\n\n{laid_out(head, rows, 'pipe')}\n\n{NOTE}{AS_PUBLISHED}\n"
    with replace_file(folder / "reproduction.md", overwrite=True) as draft:
        draft.write_text(text, "utf-8")


def _markdown(lines: Sequence[Line], against: str | None, title: str) -> str:
    head, rows = columns(lines, against)
    table = laid_out(head, rows, "pipe")
    failures = [f"- {line.name}: {line.failed}" for line in lines if line.failed]
    settings = [
        f"- {line.name}: {', '.join(f'{key} {_short(value)}' for key, value in chosen.items())}"
        for line in lines
        if (chosen := line.settings)
    ]
    parts = [f"# {title}", table, _note(lines)]
    if settings:
        parts.append("Chosen on validation, where it is not the method as it stands:\n\n")
        parts[-1] += "\n".join(settings)
    if failures:
        parts.append("Without figures, or without all:\n\n" + "\n".join(failures))
    return "\n\n".join(parts) + "\n"


def _latex(lines: Sequence[Line], against: str | None) -> str:
    return laid_out(*columns(lines, against), "latex_booktabs") + "\n"


def _json(lines: Sequence[Line], against: str | None, title: str) -> str:
    table = {
        "title": title,
        "against": against,
        "note": _note(lines),
        "rows": [*map(asdict, lines)],
    }
    return json.dumps(table, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _note(lines: Sequence[Line]) -> str:
    noted = any(line.best_on_test is not None for line in lines)
    return NOTE + (AS_PUBLISHED if noted else "")


def _cells(line: Line, directions: Sequence[str], against: str | None, noted: bool) -> list[str]:
    if line.average is None:
        figures = len(directions) + 4 + 2 * (against is not None) + 2 * noted
        return [line.name, *["-"] * figures, "0", str(line.trials)]
    difference, best = line.difference, line.best_on_test
    compared = (
        [_signed(difference.average) + ("*" if difference.p < LEVEL else ""), _p(difference.p)]
        if difference
        else ["", ""]
    )
    flattered = ["", ""] if best is None else [_points(best), _signed(best - line.average.mean)]
    return [
        line.name,
        *(_points(line.directions[name]) for name in directions),
        _points(line.average.mean),
        f"{_points(line.average.low)}-{_points(line.average.high)}",
        *(compared if against else []),
        *(flattered if noted else []),
        _seconds(line.cpu_seconds),
        f"{line.bytes:,}",
        str(line.seeds),
        str(line.trials),
    ]


def _escaped(cells: Sequence[str]) -> list[str]:
    return [cell.replace("|", "\\|") for cell in cells]


def _flat(line: Line) -> dict[str, Any]:
    """Return a line as one row of plain values."""
    difference: Mapping[str, Any] = asdict(line.difference) if line.difference else {}
    return {
        "method": line.name,
        **{f"map {name}": value for name, value in line.directions.items()},
        "map average": line.average.mean if line.average else None,
        "low": line.average.low if line.average else None,
        "high": line.average.high if line.average else None,
        "standard deviation over seeds": line.over_seeds,
        "validation map": line.validation,
        "difference": difference.get("average"),
        "p queries": difference.get("p_queries"),
        "p seeds": difference.get("p_seeds"),
        "p both": difference.get("p_both"),
        "p corrected": difference.get("p"),
        "best on test": line.best_on_test,
        "core seconds": line.cpu_seconds,
        "clock seconds": line.seconds,
        "bytes": line.bytes,
        "seeds": line.seeds,
        "trials": line.trials,
        "settings": json.dumps(line.settings),
        "failed": line.failed,
    }


def _points(value: float) -> str:
    return f"{value:.3f}"


def _signed(value: float) -> str:
    return f"{value:+.3f}"


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else f"{value:.3f}"


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
