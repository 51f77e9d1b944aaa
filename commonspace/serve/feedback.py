"""Judgments of visitors about results: stored line by line, and exported for the next training."""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from commonspace.errors import CommonspaceError, FileFormatError, OutputError
from commonspace.json_text import parse_json
from commonspace.retrieval.items import Item

__all__ = ["FeedbackFile", "export_pairs", "read_votes"]

MAX_BYTES = 100_000_000
"""Size of the file from which nothing more is stored, against a full disk."""


class FeedbackFile:
    """A file of judgments, one line of JSON each, which only grows.

    Args:
        path: of the file; it is created when the first judgment comes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def add(self, *, text: str | None, query_id: str | None, id: str, useful: bool) -> None:
        """Store a judgment.

        Args:
            text: the words of the query.
            query_id: the item of the query ("more like this").
            id: the result.
            useful: whether it is what the visitor looked for.

        Raises:
            OutputError: If the file cannot be written, or is full.
        """
        record = {"time": round(time.time()), "text": text, "query_id": query_id, "id": id}
        line = json.dumps({**record, "useful": useful}, ensure_ascii=False) + "\n"
        try:
            with (
                self._lock,
                self.path.open("a", encoding="utf-8", errors="backslashreplace") as file,
            ):
                if file.tell() > MAX_BYTES:
                    raise OutputError(
                        "the file of feedback is full",
                        expected=f"at most {MAX_BYTES:,} bytes",
                        found=f"{file.tell():,} bytes",
                        advice="export it, and move it away",
                    )
                file.write(line)
        except OSError as exc:
            raise OutputError(
                "the feedback cannot be stored",
                expected="a file that can be written",
                found=exc.strerror or str(exc),
                advice="check the file given with --feedback",
            ) from exc


def read_votes(path: Path) -> dict[tuple[str, str], int]:
    """Return (text of a query, id of an item) -> judgments for it minus those against it.

    Words are compared without regard to case and spaces. Judgments of other queries are left out.

    Args:
        path: what ``FeedbackFile`` wrote.

    Raises:
        FileFormatError: If the file cannot be read, or a line is damaged.
    """
    votes: dict[tuple[str, str], int] = defaultdict(int)
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise _damaged(path, getattr(exc, "strerror", None) or str(exc)) from exc
    for number, line in enumerate(lines, 1):
        try:
            record: Any = parse_json(line)
            text, id, useful = record["text"], record["id"], record["useful"]
        except (ValueError, LookupError, TypeError) as exc:
            if number == len(lines):
                break  # a write that was cut off
            raise _damaged(path, f"line {number}: {line[:60]!r}") from exc
        if isinstance(text, str) and text.strip():
            votes[" ".join(text.split()).casefold(), str(id)] += 1 if useful else -1
    return dict(votes)


def export_pairs(
    votes: Mapping[tuple[str, str], int], items: Mapping[str, Item], added: Path
) -> list[dict[str, str]]:
    """Return lines for a metadata.jsonl: the words of a query as a further text of a photo.

    Only pairs with more judgments for than against them, whose item has a photo in the data. Class
    and split are those of the other lines of the photo: a photo of the test split stays there.

    Args:
        votes: what ``read_votes`` returned.
        items: id -> item of the index.
        added: the folder of the photos that the index alone has.
    """
    return [
        {"file_name": photo, "text": text}
        for (text, id), count in sorted(votes.items())
        if count > 0 and id in items and (photo := items[id].photo)
        if not Path(photo).resolve().is_relative_to(added.resolve())
    ]


def _damaged(path: Path, found: str) -> CommonspaceError:
    return FileFormatError(
        f"{path} is no file of feedback",
        expected="lines of JSON, as commonspace serve --feedback FILE writes them",
        found=found,
        advice="repair or remove the line",
    )
