"""Write-ahead log of SQLite: the pages that it commits, and whether a part of it is damaged.

SQLite reads the log up to the first frame whose checksum is wrong, and forgets the rest without a
word. This module tells an end of the log from damage in the middle of it.

The file (https://www.sqlite.org/fileformat.html, section 4) has a header of 32 bytes and frames of
24 bytes and one page. The checksum of a frame is a recurrence over all words before it,
``t[n] = t[n - 1] + t[n - 2] + word[n]``, hence a sum of words times Fibonacci numbers.
"""

import time
import zlib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from commonspace.errors import StoreError

__all__ = ["LogContent", "check_log", "log_path", "read_log"]

_HEADER, _FRAME = 32, 24
_MAGIC = (0x377F0682, 0x377F0683)
"""Words of the checksum are little-endian with the first number, big-endian with the second."""
_BLOCK = 2**23
"""Bytes of frames whose checksums are computed at a time."""
_TRIES = 3
"""Times that a log is read before it counts as damaged: another process may be writing it."""


@dataclass(frozen=True)
class LogContent:
    """What a log commits."""

    pages: dict[int, int] = field(default_factory=dict)
    """Page number -> CRC-32 of the newest committed content."""
    commits: int = 0
    size: int = 0
    """Pages of the database after the last commit; 0 without one."""
    damage: Literal["", "end", "middle"] = ""
    """"middle": a damaged frame, and commits after it that were acknowledged. "end": a damaged
    frame of the last commit, which was perhaps never acknowledged."""


def log_path(database: Path) -> Path:
    """Return the path of the log of a database."""
    return database.with_name(f"{database.name}-wal")


def check_log(database: Path) -> str:
    """Check the log that a killed process has left; return a note, "" if there is nothing to say.

    Raises:
        StoreError: If acknowledged changes cannot be read.
    """
    content = LogContent()
    for _ in range(_TRIES):
        content = read_log(database)
        if not content.damage:
            return ""
        time.sleep(0.01)
    path = log_path(database)
    if content.damage == "end":
        return f"the last change in {path} is incomplete: it is left out"
    raise StoreError(
        f"{path} is damaged",
        expected="frames with the checksums that SQLite wrote",
        found="a damaged frame with acknowledged changes after it",
        advice="restore the folder from a backup; or delete this file, which loses the changes of"
        " the process that ended without closing the index",
    )


def read_log(database: Path) -> LogContent:
    """Read the log of a database; an empty content if there is none."""
    try:
        data = log_path(database).read_bytes()
    except OSError:
        return LogContent()
    if len(data) < _HEADER + _FRAME:
        return LogContent()
    head = np.frombuffer(data, ">u4", 8)
    page_size = int(head[2])
    known = head[0] in _MAGIC and 512 <= page_size <= 65536 and page_size % 8 == 0
    order = ">u4" if head[0] == _MAGIC[1] else "<u4"
    start = np.zeros(2, np.uint32)
    if not known or (_sums(np.frombuffer(data, order, 6)[None], start[None])[0] != head[6:]).any():
        return LogContent(damage="middle")
    return _read_frames(data, head, page_size, order)


def _read_frames(data: bytes, head: NDArray[np.uint32], page_size: int, order: str) -> LogContent:
    width = _FRAME + page_size
    count = (len(data) - _HEADER) // width
    frames = np.frombuffer(data, np.uint8, count * width, _HEADER).reshape(count, width)
    heads = np.ascontiguousarray(frames[:, :_FRAME]).view(">u4")
    before = np.concatenate([head[None, 6:], heads[:-1, 4:]]).astype(np.uint32)
    own = (heads[:, 2:4] == head[4:6]).all(axis=1)  # else left over from before the last reset
    good = own.copy()
    step = max(1, _BLOCK // width)
    for first in range(0, count, step):
        rows = np.flatnonzero(good[first : first + step]) + first
        words = np.concatenate([frames[rows, :8], frames[rows, _FRAME:]], axis=1).view(order)
        good[rows] = (_sums(words, before[rows]) == heads[rows, 4:]).all(axis=1)
    valid = count if good.all() else int(good.argmin())
    commits = np.flatnonzero(heads[:valid, 1])
    last = int(commits[-1]) + 1 if len(commits) else 0
    newest = dict(zip(heads[:last, 0].tolist(), range(last), strict=True))
    pages = {page: zlib.crc32(frames[row, _FRAME:].tobytes()) for page, row in newest.items()}
    later = np.flatnonzero(good[valid:]) + valid
    lost = later[heads[later, 1] > 0]
    damage: Literal["", "end", "middle"] = ""
    if len(lost):
        damage = "middle" if later[-1] > lost[0] else "end"
    elif valid < count and own[valid] and not own[valid + 1 :].any():
        damage = "end"
    return LogContent(pages, len(commits), int(heads[last - 1, 1]) if last else 0, damage)


def _sums(words: NDArray[np.uint32], before: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return (n, 2) checksums of (n, even number) words, each after another checksum, (n, 2)."""
    weights, start = _weights(words.shape[1])
    sums: NDArray[np.uint32] = words.astype(np.uint32) @ weights + before @ start
    return sums


@cache
def _weights(count: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return the factors, (count, 2) and (2, 2), of words and of the checksum before them."""
    numbers = [0, 1]
    while len(numbers) < count + 2:
        numbers.append((numbers[-1] + numbers[-2]) % 2**32)
    fibonacci = np.array(numbers, np.uint32)
    words = np.stack([fibonacci[count - 1 :: -1], fibonacci[count:0:-1]], axis=1)
    start = np.stack([fibonacci[count - 1 : count + 1], fibonacci[count : count + 2]], axis=1)
    return np.ascontiguousarray(words), np.ascontiguousarray(start)
