"""Records of a metadata file with their line numbers: JSON lines, CSV, TSV and Parquet.

Table cells are strings: empty cells become None, and a column of plain numbers becomes numbers,
except columns of names (``file_name``, ``text``, ``id``). The delimiter of a table is found from
its header; known column names may be written in any case.
"""

import csv
import re
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

from commonspace.data.reading import WarningLog, reading
from commonspace.data.vocabulary import MISSING, decode_bytes, parse_list, replace_surrogates
from commonspace.errors import FileFormatError
from commonspace.json_text import parse_json

__all__ = [
    "KNOWN_KEYS",
    "METADATA_NAMES",
    "Record",
    "fold_names",
    "read_records",
    "texts_of",
    "wrong_type",
]

METADATA_NAMES = ("metadata.jsonl", "metadata.csv", "metadata.tsv", "metadata.parquet")
KNOWN_KEYS = ("file_name", "text", "label", "split", "id", "group")
Record = dict[str, Any]
_NAMES = frozenset({"file_name", "text", "id"})
_LISTS = frozenset({"text", "file_name", "file_names", "photos", "images"})
"""Columns of a table whose cells may be lists of strings."""

_LONGEST_CELL = 1 << 24
"""Characters of a table cell; the module csv refuses more than 131,072 otherwise."""
_DELIMITERS = (",", ";", "\t", "|")
_INTEGER = re.compile(r"0|-?[1-9]\d*")
_NUMBER = re.compile(r"-?\d+(\.\d*)?([eE][+-]?\d+)?|-?\.\d+([eE][+-]?\d+)?")


def read_records(path: Path, warnings: WarningLog) -> list[tuple[int, Record]]:
    """Read every record of a metadata file.

    Args:
        path: .jsonl (one JSON object a line), .csv or .tsv (with a header), or .parquet.
        warnings: raises or records a line that cannot be read; in a partial read it is left out.

    Returns:
        (line number from 1, record) in the order of the file; blank lines are skipped.

    Raises:
        FileFormatError: the file is not UTF-8, or a line is damaged; the message has its number.
    """
    suffix = path.suffix.lower()
    with reading(path, "a metadata file in UTF-8"):
        if suffix == ".parquet":
            return [
                (row, fold_names(record)) for row, record in enumerate(_parquet_records(path), 1)
            ]
        text = decode_bytes(path.read_bytes(), path)
        if suffix in (".csv", ".tsv"):
            return _convert_numbers(list(_table_records(text, path, warnings)))
        return [(row, fold_names(record)) for row, record in _json_records(text, path, warnings)]


def _json_records(text: str, path: Path, warnings: WarningLog) -> Iterator[tuple[int, Record]]:
    # split at "\n" only: a JSON string may hold U+2028 and others that splitlines() would divide
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = parse_json(line)
        except ValueError as exc:
            error = _line_error(path, number, "one whole JSON object", str(exc))
            if line.strip() == "[" and number == 1:
                error = _array_error(path, number)
            elif line.rstrip().endswith("},"):
                error = _line_error(
                    path, number, "one whole JSON object", f"{exc}", "end lines without a comma"
                )
            error.__cause__ = exc
            warnings.report(error, instead="line left out")
            continue
        if isinstance(record, dict):
            yield number, _repair(record, line, path, number, warnings)
        else:
            found = f"a JSON {type(record).__name__}"
            error = _line_error(path, number, "one JSON object, {...}", found)
            if isinstance(record, list):
                error = _array_error(path, number)
            warnings.report(error, instead="line left out")


def _repair(record: Record, line: str, path: Path, number: int, warnings: WarningLog) -> Record:
    """Replace halves of surrogate pairs, which JSON can spell and no other file can hold."""
    if "\\ud" not in line.lower():
        return record
    repaired = _replace(record)
    assert isinstance(repaired, dict)
    if repaired != record:
        warnings.add(
            f"{path}, line {number}: half of a surrogate pair is no character: it is replaced by"
            " U+FFFD"
        )
    return repaired


def _replace(value: object) -> object:
    if isinstance(value, str):
        return replace_surrogates(value)
    if isinstance(value, list):
        return [_replace(entry) for entry in value]
    if isinstance(value, dict):
        return {replace_surrogates(key): _replace(entry) for key, entry in value.items()}
    return value


def _table_records(text: str, path: Path, warnings: WarningLog) -> Iterator[tuple[int, Record]]:
    delimiter = _delimiter_of(text, "\t" if path.suffix.lower() == ".tsv" else ",")
    csv.field_size_limit(_LONGEST_CELL)
    rows = csv.reader(StringIO(text, newline=""), strict=True, delimiter=delimiter)
    header: list[str] | None = None
    while True:
        line = rows.line_num + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as exc:
            error = _line_error(path, line, "comma-separated values", str(exc))
            error.__cause__ = exc
            warnings.report(error, instead="the rest of the file left out")
            return
        if header is None:
            if len(row) <= 2 and row and row[0].lower().startswith("sep="):  # as Excel writes it
                continue
            header = [name.strip() for name in row]
            twice = next((name for name in header if name and header.count(name) > 1), None)
            if twice is not None:
                raise FileFormatError(
                    f"{path} has two columns of one name",
                    expected="each name once in the header",
                    found=", ".join(header[:8]),
                    advice=f"rename or remove one of the columns {twice!r}",
                )
        elif len(row) == len(header):
            yield (
                line,
                fold_names({name: cell or None for name, cell in zip(header, row, strict=True)}),
            )
        elif row:
            shown = ", ".join(header[:8])
            error = _line_error(
                path, line, f"{len(header)} values, as the header has ({shown})", f"{len(row)}"
            )
            warnings.report(error, instead="line left out")


def _delimiter_of(text: str, usual: str) -> str:
    """Return the delimiter by which the header has the most known names, then the most columns."""
    if text[:4].lower() == "sep=":
        text = text.partition("\n")[2]

    def score(delimiter: str) -> tuple[int, int, bool]:
        try:
            header = next(csv.reader(StringIO(text, newline=""), delimiter=delimiter), [])
        except csv.Error:
            return 0, 0, False
        known = sum(name.strip().casefold() in KNOWN_KEYS for name in header)
        return known, len(header) if known else 0, delimiter == usual

    return max(_DELIMITERS, key=score)


def _parquet_records(path: Path) -> list[Record]:
    import pyarrow.parquet as pq

    return [
        {key: _plain(value) for key, value in record.items()}
        for record in pq.ParquetFile(path).read().to_pylist()
    ]


def _plain(value: object) -> object:
    """Return a value that JSON can hold: dates and the like as strings."""
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)


def fold_names(record: Record) -> Record:
    """Strip names, drop values without a name, and rename known ones: File_Name, Label."""
    if any(not key.strip() or key != key.strip() for key in record):
        record = {key.strip(): value for key, value in record.items() if key.strip()}
    folded = {key.strip().casefold(): key for key in record}
    for name in KNOWN_KEYS:
        if name not in record and name in folded:
            record = {name if key == folded[name] else key: v for key, v in record.items()}
    return record


def texts_of(value: object, where: str) -> list[str]:
    """Return the texts of a record: a string, or a list of strings; blank ones are left out.

    Args:
        value: the value of "text".
        where: the line or member, for the message.

    Raises:
        FileFormatError: a value of another type.
    """
    texts: list[str] = []
    for text in value if isinstance(value, list) else [value]:
        if text is not None and not isinstance(text, str):
            raise wrong_type(where, "text", "a string, or a list of strings", value)
        texts += [text] if text and text.strip() else []
    return texts


def wrong_type(where: str, key: str, expected: str, value: object) -> FileFormatError:
    """Return the error of a value of a wrong type."""
    return FileFormatError(
        f"{where}: {key!r} has a wrong type",
        expected=expected,
        found=repr(value)[:80],
        advice="correct this line",
    )


def _line_error(
    path: Path,
    number: int,
    expected: str,
    found: str,
    advice: str = "correct this line, or write the file again if it was cut short",
) -> FileFormatError:
    return FileFormatError(
        f"{path}, line {number}, cannot be read", expected=expected, found=found, advice=advice
    )


def _array_error(path: Path, number: int) -> FileFormatError:
    return _line_error(
        path,
        number,
        "one JSON object, {...}, in each line",
        "a JSON array, [...]",
        "write each object of the array on a line of its own, without brackets and commas:"
        " jq -c '.[]' FILE",
    )


def _convert_numbers(records: list[tuple[int, Record]]) -> list[tuple[int, Record]]:
    """Turn columns of plain numbers into numbers, lists of texts into lists, and NA into None."""
    for name in records[0][1] if records else ():
        if name in _LISTS:
            for _, record in records:
                texts = parse_list(record[name]) if record[name] else None
                if texts and all(isinstance(text, str) for text in texts):
                    record[name] = texts
            if name in _NAMES or any(isinstance(record[name], list) for _, record in records):
                continue
        cells = [record[name] for _, record in records if record[name] not in (None, *MISSING)]
        convert: Callable[[str], Any] = str
        if name in _NAMES:
            pass
        elif cells and all(_INTEGER.fullmatch(cell) for cell in cells):
            convert = int
        elif (
            cells
            and all(_NUMBER.fullmatch(cell) for cell in cells)
            and not any(map(_is_padded, cells))
        ):
            convert = float
        for _, record in records:
            if record[name] in MISSING and name not in ("label", "file_name"):
                record[name] = None
            elif record[name] is not None and record[name] not in MISSING:
                record[name] = convert(record[name])
    return records


def _is_padded(cell: str) -> bool:
    """Return whether a number has leading zeros, as codes do: 007, but not 0.7."""
    digits = cell.lstrip("-")
    return len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()
