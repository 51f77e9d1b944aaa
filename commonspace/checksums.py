"""Checksums of files: a list for a folder, as ``sha256sum --check`` reads it, and in JSON files.

They find damage of disks and transfers. They are no protection against changes on purpose.
"""

import json
import re
from collections.abc import Iterable
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from commonspace.atomic import replace_file
from commonspace.json_text import parse_json

__all__ = [
    "CHECKSUMS",
    "changed_files",
    "file_sha256",
    "is_changed",
    "read_checked_json",
    "renew_checksum",
    "write_checked_json",
    "write_checksums",
]

CHECKSUMS = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64})  ([^\n]+)\n")
_END = ', "sha256": "'


def write_checksums(folder: Path, files: Iterable[str]) -> None:
    """Write the list of a folder; an existing one is replaced.

    Args:
        folder: contains the files.
        files: their paths in it, without line breaks.

    Raises:
        OutputError: If it cannot be written.
    """
    _write(folder, {name: file_sha256(folder / name) for name in files})


def renew_checksum(file: Path) -> None:
    """Write the hash of a new or changed file into the list of its folder, if there is a list.

    Raises:
        OutputError: If it cannot be written.
    """
    try:
        known = _read(file.parent)
    except ValueError:  # damaged: nothing hides that
        return
    if known:
        _write(file.parent, known | {file.name: file_sha256(file)})


def changed_files(folder: Path) -> list[str]:
    """Return what differs from the list of a folder: files that were changed or are missing.

    An empty list without checksums too, and the list itself if it is damaged.
    """
    try:
        known = _read(folder)
    except ValueError:
        return [CHECKSUMS]
    return [name for name, value in known.items() if _digest(folder / name) != value]


def is_changed(file: Path) -> bool:
    """Return whether a file differs from the list of its folder; false if that does not name it."""
    try:
        value = _read(file.parent).get(file.name)
    except ValueError:  # the list is damaged: verify reports it
        return False
    return value is not None and _digest(file) != value


def write_checked_json(path: Path, content: dict[str, Any]) -> None:
    """Write an object that is not empty as JSON, with the hash of its text as a last key.

    Raises:
        OutputError: If it cannot be written.
    """
    text = json.dumps(content, ensure_ascii=False)[:-1]
    with replace_file(path, overwrite=True) as draft:
        draft.write_text(f'{text}{_END}{sha256(text.encode()).hexdigest()}"}}', "utf-8")


def read_checked_json(path: Path) -> dict[str, Any]:
    """Return the content that ``write_checked_json`` wrote.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it differs from its hash, or has none.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_checked_json(Path(folder) / "map.json", {"x": [0.5, 1e-5]})
        ...     read_checked_json(Path(folder) / "map.json")
        {'x': [0.5, 1e-05]}
    """
    text = path.read_text("utf-8")
    body, _, end = text.rpartition(_END)
    if end != f'{sha256(body.encode()).hexdigest()}"}}':
        raise ValueError("its content differs from its checksum")
    content: dict[str, Any] = parse_json(body + "}")
    return content


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _digest(path: Path) -> str:
    try:
        return file_sha256(path)
    except (OSError, ValueError):  # missing, or no name of a file
        return ""


def _write(folder: Path, values: dict[str, str]) -> None:
    lines = [f"{value}  {name}\n" for name, value in sorted(values.items())]
    with replace_file(folder / CHECKSUMS, overwrite=True) as draft:
        draft.write_text("".join(lines), "utf-8")


def _read(folder: Path) -> dict[str, str]:
    """Return name -> hash of the list of a folder; {} if there is none.

    Raises:
        ValueError: If it is damaged.
    """
    try:
        text = (folder / CHECKSUMS).read_bytes().decode("utf-8")
    except OSError:
        return {}
    lines = _LINE.findall(text)
    if "".join(f"{value}  {name}\n" for value, name in lines) != text or not lines:
        raise ValueError(CHECKSUMS)
    return {name: value for value, name in lines}
