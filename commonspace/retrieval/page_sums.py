"""Checksums of the pages of a database, which find damage even in bytes that no row uses.

    store.pages     generation, number of pages, a CRC-32 for each page, and one of all that

SQLite writes pages into its log first, and copies them into the database at a checkpoint. The
checksums are renewed from the log before that, so that a page that is not in the log always has
its recorded checksum, whenever a process is killed.
"""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from commonspace.atomic import replace_file
from commonspace.retrieval.log_file import read_log

__all__ = ["PAGES", "PageSums"]

PAGES = "store.pages"

_MAGIC = b"CSPAGES1"
_HEAD = struct.Struct("<8sQQ")
_BLOCK = 2**23
"""Bytes of the database that are read at a time."""


@dataclass(frozen=True)
class _Sums:
    generation: int
    values: NDArray[np.uint32]
    """(pages,), the CRC-32 of each."""


class PageSums:
    """The checksums of the pages of one database.

    Args:
        database: its path.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._path = database.with_name(PAGES)

    def renew(self, generation: int, *, repair: bool = False) -> None:
        """Bring the checksums up to date, before a checkpoint and while nobody else writes.

        Pages that are not in the log keep their checksum. All of them are computed from the
        database if there are none, or if another program made a checkpoint meanwhile.

        Args:
            generation: of the last commit.
            repair: whether damaged checksums are computed again; else they stay, and are reported.

        Raises:
            OutputError: If they cannot be written.
        """
        known = self._read()
        if known is not None and known.generation == generation:
            return
        if known is None and self._path.exists() and not repair:
            return
        log = read_log(self._database)
        if known is None or known.generation < generation - log.commits:
            known = _Sums(generation, self._compute())
        values = np.zeros(log.size or len(known.values), np.uint32)
        kept = min(len(values), len(known.values))
        values[:kept] = known.values[:kept]
        for page, value in log.pages.items():
            if page <= len(values):  # the database may have shrunk later
                values[page - 1] = value
        self._write(_Sums(generation, values))

    def write_all(self, generation: int) -> None:
        """Write the checksums of a database that nobody uses."""
        self._write(_Sums(generation, self._compute()))

    def find_problem(self) -> str:
        """Return what is wrong with the checksums; "" if nothing is, or if there are none."""
        damaged = self._path.exists() and self._read() is None
        return f"{self._path} is damaged" if damaged else ""

    def find_changed(self, read_generation: Callable[[], int]) -> list[int]:
        """Return the numbers, from 1, of the pages that differ from their checksums.

        Args:
            read_generation: returns that of the last commit. If another process writes meanwhile,
                or the checksums belong to another generation, nothing can be compared: [].
        """
        known = self._read()
        if known is None or known.generation != read_generation():
            return []
        logged = read_log(self._database).pages
        values = self._compute()
        now = self._read()
        if now is None or now.generation != known.generation:
            return []
        common = min(len(values), len(known.values))
        places = np.flatnonzero(values[:common] != known.values[:common]).tolist()
        places += range(common, max(len(values), len(known.values)))
        return [place + 1 for place in places if place + 1 not in logged]

    def _compute(self) -> NDArray[np.uint32]:
        with self._database.open("rb") as file:
            size = int.from_bytes(file.read(18)[16:18], "big")
            size = 65536 if size == 1 else max(size, 512)
            file.seek(0)
            values: list[int] = []
            while block := file.read(max(1, _BLOCK // size) * size):
                values += [
                    zlib.crc32(block[start : start + size]) for start in range(0, len(block), size)
                ]
        return np.array(values, np.uint32)

    def _read(self) -> _Sums | None:
        """Return the stored checksums; None if there are none, or they are damaged."""
        try:
            data = self._path.read_bytes()
            body, end = data[:-4], data[-4:]
            magic, generation, count = _HEAD.unpack_from(body)
            complete = len(body) == _HEAD.size + 4 * count
            if magic != _MAGIC or not complete or zlib.crc32(body) != int.from_bytes(end, "little"):
                return None
        except (OSError, struct.error):
            return None
        return _Sums(generation, np.frombuffer(body, "<u4", offset=_HEAD.size).astype(np.uint32))

    def _write(self, sums: _Sums) -> None:
        body = (
            _HEAD.pack(_MAGIC, sums.generation, len(sums.values))
            + sums.values.astype("<u4").tobytes()
        )
        with replace_file(self._path, overwrite=True) as draft:
            draft.write_bytes(body + zlib.crc32(body).to_bytes(4, "little"))
