"""Tables of a comparison as files: Markdown and LaTeX to read, CSV and JSON to process."""

import csv
import json
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from commonspace.atomic import replace_file
from commonspace.comparison.difference import Difference
from commonspace.comparison.summary import MethodSummary
from commonspace.extras import optional
from commonspace.machine import available_cores

__all__ = [
    "AS_PUBLISHED",
    "NOTE",
    "columns",
    "environment",
    "flatten",
    "format_difference",
    "format_table",
    "latex_table",
    "latex_text",
    "write_csv",
    "write_tables",
]

LEVEL = 0.05
"""Significance level."""

NOTE = (
    "mAP over the whole ranking on the test split, the mean over the seeds. Interval: 95%,"
    " bootstrap over seeds and test samples together. Settings and epochs are chosen on validation."
    " p: the largest of a paired randomization test over the test samples, Welch's t test over the"
    " seeds and a t test over both, after Holm's correction for the number of methods; * marks"
    " p < 0.05. CPU seconds: of one fit. Bytes: of one embedding in float32; of a binary code, one"
    " bit a number."
)
AS_PUBLISHED = (
    " Best on test: the mAP of the epoch, or the setting inside the method, that is best on the"
    " test split, as published code reports it. It is not a result: excess shows by how much it"
    " overestimates."
)


def columns(
    summaries: Sequence[MethodSummary], baseline: str | None
) -> tuple[list[str], list[list[str]]]:
    """Return the head of the table and its cells, formatted.

    Args:
        summaries: the rows.
        baseline: the method that the others were compared with.
    """
    directions = list(next((one.directions for one in summaries if one.directions), {}))
    as_published = any(one.best_on_test is not None for one in summaries)
    head = [
        "method",
        *directions,
        "average",
        "95% interval",
        *([f"vs {baseline}", "p"] if baseline else []),
        *(["best on test", "excess"] if as_published else []),
        "CPU s",
        "bytes",
        "seeds",
        "trials",
    ]
    return head, [_cells(one, directions, baseline, as_published) for one in summaries]


def format_table(head: Sequence[str], rows: Sequence[Sequence[str]], form: str) -> str:
    """Return a table as text.

    Args:
        head: the name of each column.
        rows: cells; the first column is left-aligned, the others right-aligned.
        form: a format of tabulate: "pipe" for Markdown, "latex_booktabs".

    Raises:
        MissingExtraError: tabulate is not installed.
    """
    tabulate = optional("tabulate", "a table", "compare").tabulate
    if form == "pipe":  # tabulate does not escape its own column sign
        head, rows = _escaped(head), [_escaped(row) for row in rows]
    align = ("left", *["right"] * (len(head) - 1))
    table: str = tabulate(rows, head, tablefmt=form, disable_numparse=True, colalign=align)
    return table


def write_tables(
    folder: Path, summaries: Sequence[MethodSummary], baseline: str | None, title: str
) -> None:
    """Write ``table.md``, ``.tex``, ``.csv`` and ``.json``, and ``classes.csv``, into a folder.

    Earlier ones are replaced.

    Raises:
        OutputError: a file cannot be written.
        MissingExtraError: tabulate is not installed.
    """
    for name, text in (
        ("table.md", _markdown(summaries, baseline, title)),
        ("table.tex", _latex(summaries, baseline, title)),
        ("table.json", _json(summaries, baseline, title)),
    ):
        with replace_file(folder / name, overwrite=True) as draft:
            draft.write_text(text, "utf-8")
    write_csv(folder / "table.csv", [flatten(summary) for summary in summaries])
    classes = [{"method": one.name, **one.class_map} for one in summaries if one.class_map]
    if classes:
        write_csv(folder / "classes.csv", classes)


def environment() -> dict[str, Any]:
    """Return the machine and the versions that a comparison depends on, for its record."""
    packages = ("commonspace", "torch", "numpy", "scipy", "optuna")
    return {
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": available_cores(),
        "python": platform.python_version(),
        **{name: _version(name) for name in packages},
    }


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a CSV file with a column for each key, in the order of their first occurrence.

    Args:
        path: an earlier file is replaced.
        rows: key -> value; a missing one is an empty cell.

    Raises:
        OutputError: the file cannot be written.
    """
    head = list(dict.fromkeys(key for row in rows for key in row))
    with (
        replace_file(path, overwrite=True) as draft,
        draft.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, head)
        writer.writeheader()
        writer.writerows(rows)


def _markdown(summaries: Sequence[MethodSummary], baseline: str | None, title: str) -> str:
    head, rows = columns(summaries, baseline)
    table = format_table(head, rows, "pipe")
    failures = [f"- {summary.name}: {summary.failed}" for summary in summaries if summary.failed]
    settings = [
        f"- {summary.name}: "
        + ", ".join(f"{key} {_short(value)}" for key, value in summary.settings.items())
        for summary in summaries
        if summary.settings
    ]
    parts = [f"# {title}", table, _note(summaries)]
    if settings:
        parts.append("Tuned settings, where they differ from the defaults:\n\n")
        parts[-1] += "\n".join(settings)
    if failures:
        parts.append("Failed, completely or in part:\n\n" + "\n".join(failures))
    return "\n\n".join(parts) + "\n"


def _latex(summaries: Sequence[MethodSummary], baseline: str | None, title: str) -> str:
    """Return a ``table`` environment for booktabs, with the note below the table."""
    table = format_table(*columns(summaries, baseline), "latex_booktabs")
    return latex_table(table, f"{title}.", _note(summaries))


NARROW = "\\footnotesize\\setlength{\\tabcolsep}{2pt}"
"""Letters and gaps with which the columns fit the width of an article page."""


def latex_table(table: str, caption: str, note: str) -> str:
    """Return a ``table`` environment of LaTeX.

    Args:
        table: a tabular for booktabs, as ``format_table`` returns it.
        caption: plain text, above the table.
        note: plain text, in small letters below it.
    """
    return (
        f"\\begin{{table}}\n\\centering\n\\caption{{{latex_text(caption)}}}\n"
        f"{NARROW}\n{table}\n"
        f"\\par\\medskip\n\\parbox{{\\linewidth}}{{\\scriptsize {latex_text(note)}}}\n"
        "\\end{table}\n"
    )


def latex_text(text: str) -> str:
    """Return plain text as LaTeX, with the characters escaped that have a meaning there."""
    return text.translate(_LATEX)


_LATEX = str.maketrans(
    {character: f"\\{character}" for character in "&%#_{}$"}
    | {"<": "$<$", ">": "$>$", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"}
    | {"\\": "\\textbackslash{}"}
)


def _json(summaries: Sequence[MethodSummary], baseline: str | None, title: str) -> str:
    table = {
        "title": title,
        "baseline": baseline,
        "note": _note(summaries),
        "environment": environment(),
        "methods": [*map(asdict, summaries)],
    }
    return json.dumps(table, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _note(summaries: Sequence[MethodSummary]) -> str:
    as_published = any(summary.best_on_test is not None for summary in summaries)
    return NOTE + (AS_PUBLISHED if as_published else "")


def _cells(
    summary: MethodSummary, directions: Sequence[str], baseline: str | None, as_published: bool
) -> list[str]:
    if summary.average is None:
        figures = len(directions) + 4 + 2 * (baseline is not None) + 2 * as_published
        return [summary.name, *["-"] * figures, "0", str(summary.trials)]
    best = summary.best_on_test
    excess = ["", ""] if best is None else [_points(best), _signed(best - summary.average.mean)]
    return [
        summary.name,
        *(_points(summary.directions[name]) for name in directions),
        _points(summary.average.mean),
        f"{_points(summary.average.low)}-{_points(summary.average.high)}",
        *(format_difference(summary.difference) if baseline else []),
        *(excess if as_published else []),
        _seconds(summary.cpu_seconds),
        f"{summary.bytes:,}",
        str(summary.seeds),
        str(summary.trials),
    ]


def format_difference(difference: Difference | None) -> list[str]:
    """Return the cells of a difference from the baseline and its p; empty ones without it.

    Args:
        difference: a star marks p < 0.05.
    """
    if difference is None:
        return ["", ""]
    star = "*" if difference.p < LEVEL else ""
    return [_signed(difference.average) + star, _p(difference.p)]


def _escaped(cells: Sequence[str]) -> list[str]:
    return [cell.replace("|", "\\|") for cell in cells]


def flatten(summary: MethodSummary) -> dict[str, Any]:
    """Return a row of plain values for CSV."""
    difference: Mapping[str, Any] = asdict(summary.difference) if summary.difference else {}
    return {
        "method": summary.name,
        **{f"map {name}": value for name, value in summary.directions.items()},
        "map average": summary.average.mean if summary.average else None,
        "low": summary.average.low if summary.average else None,
        "high": summary.average.high if summary.average else None,
        "standard deviation over seeds": summary.standard_deviation,
        "validation map": summary.validation_map,
        "difference": difference.get("average"),
        "p queries": difference.get("p_queries"),
        "p seeds": difference.get("p_seeds"),
        "p both": difference.get("p_both"),
        "p corrected": difference.get("p"),
        "best on test": summary.best_on_test,
        "CPU seconds": summary.cpu_seconds,
        "clock seconds": summary.seconds,
        "bytes": summary.bytes,
        "seeds": summary.seeds,
        "trials": summary.trials,
        "settings": json.dumps(summary.settings),
        "failed": summary.failed,
    }


def _points(value: float) -> str:
    return f"{value:.3f}"


def _signed(value: float) -> str:
    return f"{value:+.3f}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
