"""Corrections: classes that people gave to samples after the data set was made.

    {"time": 1764439200, "id": "kite-080", "labels": ["kite"], "before": ["boat"]}

is a line of the file, as ``commonspace serve --writable`` writes it; the last line of an id counts.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from commonspace.data.dataset import Dataset
from commonspace.errors import DataError, FileFormatError
from commonspace.json_text import parse_json

__all__ = ["correct_labels", "label_file_of", "read_corrections"]


def label_file_of(index: Path) -> Path:
    """Return the file beside an index in which the labels of people are stored."""
    return index.with_name(f"{index.name}-labels.jsonl")


def read_corrections(path: str | Path) -> dict[str, tuple[str, ...]]:
    """Return id -> the classes that a person gave or confirmed last; () takes them away.

    Args:
        path: lines of JSON with "id" and "labels"; further keys are ignored.

    Raises:
        DataError: There is no such file.
        FileFormatError: The file cannot be read, or a line is damaged.
    """
    path = Path(path)
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError as exc:
        raise DataError(
            f"the file of corrections {path} does not exist",
            expected="lines of JSON, as commonspace serve --writable writes them",
            found="no such file",
            advice="check the path; the file is made with the first label that is given",
        ) from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise _damaged(path, getattr(exc, "strerror", None) or str(exc)) from exc
    found: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(lines, 1):
        try:
            record: Any = parse_json(line)
            id, labels = record["id"], record["labels"]
            if not isinstance(id, str) or not isinstance(labels, list):
                raise TypeError
            if not all(isinstance(name, str) and name for name in labels):
                raise TypeError
        except (ValueError, LookupError, TypeError) as exc:
            if number == len(lines):
                break  # a write that was cut off
            raise _damaged(path, f"line {number}: {line[:60]!r}") from exc
        found[id] = tuple(dict.fromkeys(labels))
    return found


def correct_labels(
    data: Dataset, corrections: Mapping[str, tuple[str, ...]], *, test: bool = False
) -> Dataset:
    """Return a data set with corrected labels in train and validation.

    Labels of test samples stay: most corrections follow the predictions of a model, and a test
    that is corrected so would favor that model. Splits stay, too. Classes that are new come last.

    Args:
        data: The data set.
        corrections: Id -> classes. Ids that the data set does not have are left out. A sentence
            in ``Dataset.warnings`` has the numbers.
        test: Whether to correct test samples too, for an index, which measures nothing.
    """
    place = {id: row for row, id in enumerate(data.ids)}
    known = [id for id in corrections if id in place]
    used = [id for id in known if test or data.splits[place[id]] != "test"]
    names = [*data.class_names]
    names += [
        name
        for name in dict.fromkeys(name for id in used for name in corrections[id])
        if name not in data.class_names
    ]
    labels = np.zeros((len(data), len(names)), dtype=bool)
    labels[:, : len(data.class_names)] = data.labels
    column = {name: number for number, name in enumerate(names)}
    changed = 0
    for id in used:
        row = np.zeros(len(names), dtype=bool)
        row[[column[name] for name in corrections[id]]] = True
        changed += int(not np.array_equal(row, labels[place[id]]))
        labels[place[id]] = row
    sentence = f"corrections: {len(used)} labels given by people, of which {changed} differ"
    left = [
        f"{count} {reason}"
        for count, reason in (
            (len(known) - len(used), "of test samples are left out"),
            (len(corrections) - len(known), "of unknown ids are left out"),
        )
        if count
    ]
    return replace(
        data,
        labels=labels,
        class_names=tuple(names),
        warnings=(*data.warnings, "; ".join([sentence, *left])),
    )


def _damaged(path: Path, found: str) -> FileFormatError:
    return FileFormatError(
        f"{path} is no file of corrections",
        expected='lines of JSON such as {"id": "kite-080", "labels": ["kite"]}',
        found=found,
        advice="repair or remove the line",
    )
