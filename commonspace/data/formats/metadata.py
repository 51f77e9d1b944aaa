"""metadata.jsonl and metadata.csv -> records with their line numbers. Knows no images or labels.

A CSV file has only strings: empty cells become None, and a column whose cells are all plain numbers
becomes numbers, other than those that name something (``file_name``, ``text``, ``id``).
"""

import csv
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from commonspace.data.files import reading
from commonspace.data.problems import Problems
from commonspace.errors import FileFormatError

__all__ = ["METADATA_NAMES", "Record", "read_records"]

METADATA_NAMES = ("metadata.jsonl", "metadata.csv")
Record = dict[str, Any]
_NAMES = frozenset({"file_name", "text", "id"})
_INTEGER = re.compile(r"0|-?[1-9]\d*")
_NUMBER = re.compile(r"-?\d+(\.\d*)?([eE][+-]?\d+)?|-?\.\d+([eE][+-]?\d+)?")


def read_records(path: Path, problems: Problems) -> list[tuple[int, Record]]:
    """Read every record of a metadata file.

    Args:
        path: a .jsonl file (one JSON object a line) or a .csv file (with a header).
        problems: raises or records a line that cannot be read; in a partial read it is left out.

    Returns:
        (line number from 1, record) in the order of the file; blank lines are skipped.

    Raises:
        FileFormatError: the file is not UTF-8, or a line is damaged; the message has its number.
    """
    with reading(path, "a metadata file in UTF-8"):
        if path.suffix == ".csv":
            return _typed(list(_csv_records(path, problems)))
        return list(_jsonl_records(path, problems))


def _jsonl_records(path: Path, problems: Problems) -> Iterator[tuple[int, Record]]:
    # split at "\n" only: a JSON string may hold U+2028 and others that splitlines() would divide
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as exc:
            error = _line_error(path, number, "one whole JSON object", str(exc))
            error.__cause__ = exc
            problems.meet(error, instead="line left out")
            continue
        if isinstance(record, dict):
            yield number, record
        else:
            found = f"a JSON {type(record).__name__}"
            error = _line_error(path, number, "one JSON object, {...}", found)
            problems.meet(error, instead="line left out")


def _csv_records(path: Path, problems: Problems) -> Iterator[tuple[int, Record]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, strict=True)
        line, header = 1, None
        while True:
            line = rows.line_num + 1
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as exc:
                error = _line_error(path, line, "comma-separated values", str(exc))
                error.__cause__ = exc
                problems.meet(error, instead="the rest of the file left out")
                return
            if header is None:
                header = [name.strip() for name in row]
            elif len(row) == len(header):
                yield line, {name: cell or None for name, cell in zip(header, row, strict=True)}
            elif row:
                error = _line_error(
                    path, line, f"{len(header)} values, as the header has", f"{len(row)}"
                )
                problems.meet(error, instead="line left out")


def _line_error(path: Path, number: int, expected: str, found: str) -> FileFormatError:
    return FileFormatError(
        f"{path}, line {number}, cannot be read",
        expected=expected,
        found=found,
        advice="correct this line, or write the file anew if it was cut short",
    )


def _typed(records: list[tuple[int, Record]]) -> list[tuple[int, Record]]:
    """Turn the columns of plain numbers into numbers."""
    for name in records[0][1] if records else ():
        cells = [record[name] for _, record in records if record[name] is not None]
        convert: Callable[[str], Any]
        if name in _NAMES or not cells:
            continue
        if all(_INTEGER.fullmatch(cell) for cell in cells):
            convert = int
        elif all(_NUMBER.fullmatch(cell) for cell in cells) and not any(map(_padded, cells)):
            convert = float
        else:
            continue
        for _, record in records:
            if record[name] is not None:
                record[name] = convert(record[name])
    return records


def _padded(cell: str) -> bool:
    """Tell whether a number has leading zeros, as codes and postal codes do: 007, but not 0.7."""
    digits = cell.lstrip("-")
    return len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()
