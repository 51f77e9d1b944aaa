"""Check of the structure of a version 5 .mat file, before scipy reads it.

scipy's reader trusts the tags of the file: a damaged one can end the whole process with a
segmentation fault, which no ``except`` can turn into a message. Every tag is therefore checked
first: known type, inside its parent, as long as its dimensions say. Compressed variables are
inflated once for their checksum. Layout: "MAT-File Format", MathWorks, chapter 1. Values are not
read here.
"""

import struct
import zlib
from mmap import ACCESS_READ, mmap
from pathlib import Path

__all__ = ["check_mat5"]

_HEADER = 128
_INT8, _INT32, _UINT32, _MATRIX, _COMPRESSED = 1, 5, 6, 14, 15
_SIZES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}  # bytes of numeric types
_TEXT = frozenset({1, 2, 3, 4, 16, 17, 18})
_CELL, _STRUCT, _CHAR, _SPARSE, _FIRST_NUMBER, _LAST_NUMBER, _LAST_CLASS = 1, 2, 4, 5, 6, 15, 17
_COMPLEX = 0x0800
_HEAD = 1 << 16


def check_mat5(path: Path) -> None:
    """Walk all tags of the file; a file of another version is passed over.

    Raises:
        ValueError: a tag is damaged or reaches beyond its place.
        zlib.error: a compressed variable is damaged.
    """
    with path.open("rb") as file:
        head = file.read(_HEADER)
    if 0 in head[:4]:  # the mark of version 4
        return
    mark = head[126:]
    if mark not in (b"IM", b"MI"):
        raise ValueError("no header of a .mat file")
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        walker = _Walker(content, "<" if mark == b"IM" else ">")
        place = _HEADER
        while place < len(content):
            kind, start, size, _ = walker.tag(place, len(content))
            if kind == _COMPRESSED:
                _check_compressed(content[start : start + size], walker.order)
                place = start + size
            else:
                place = walker.matrix(place, len(content))


class _Walker:
    """Walks the elements of a buffer, refusing whatever does not fit."""

    def __init__(self, content: mmap | bytes, order: str) -> None:
        self.content, self.order = content, order

    def tag(self, place: int, stop: int) -> tuple[int, int, int, int]:
        """Return type, first byte, size in bytes, and the place of the next element."""
        if place + 8 > stop:
            raise ValueError(f"cut short at byte {place}")
        kind, size = struct.unpack_from(f"{self.order}II", self.content, place)
        if kind >> 16:  # the small form: size and type in one word, the data in the next
            kind, size, start, after = kind & 0xFFFF, kind >> 16, place + 4, place + 8
            if size > 4:
                raise ValueError(f"damaged tag at byte {place}")
        else:
            start = place + 8
            after = start + size + (-size % 8)
        if start + size > stop:
            raise ValueError(f"{size} bytes promised at byte {place}, {stop - start} left")
        return kind, start, size, min(after, stop)

    def data(self, place: int, stop: int, kinds: object, count: int | None) -> int:
        """Check one element of plain data with ``count`` items; return the next place."""
        kind, _, size, after = self.tag(place, stop)
        if kind not in kinds or (count is not None and size != count * _SIZES[kind]):  # type: ignore[operator]
            raise ValueError(f"damaged data at byte {place}: type {kind} of {size} bytes")
        return after

    def matrix(self, place: int, stop: int) -> int:
        """Check one variable or cell; return the next place."""
        kind, start, size, after = self.tag(place, stop)
        if kind != _MATRIX:
            raise ValueError(f"damaged variable at byte {place}: type {kind}")
        if size:
            self._inside(start, start + size)
        return after

    def _inside(self, place: int, stop: int) -> None:
        _, start, _, after = self.tag(place, stop)
        self.data(place, stop, (_UINT32,), 2)
        (flags,) = struct.unpack_from(f"{self.order}I", self.content, start)
        array_class = flags & 0xFF
        if not 0 < array_class <= _LAST_CLASS:
            raise ValueError(f"damaged variable at byte {place}: class {array_class}")
        if array_class > _LAST_NUMBER:
            return  # function handles and objects: scipy hands them on unread
        kind, start, size, place = self.tag(after, stop)
        if kind != _INT32 or size < 8 or size % 4:
            raise ValueError(f"damaged dimensions at byte {after}")
        count = 1
        for extent in struct.unpack_from(f"{self.order}{size // 4}i", self.content, start):
            if extent < 0:
                raise ValueError(f"damaged dimensions at byte {after}")
            count *= extent
        place = self.data(place, stop, (_INT8,), None)
        self._content(array_class, flags, count, place, stop)

    def _content(self, array_class: int, flags: int, count: int, place: int, stop: int) -> None:
        """Check what follows flags, dimensions and name."""
        if array_class == _CELL:
            for _ in range(count):
                place = self.matrix(place, stop)
        elif array_class == _STRUCT:
            _, start, _, after = self.tag(place, stop)
            self.data(place, stop, (_INT32,), 1)
            (width,) = struct.unpack_from(f"{self.order}i", self.content, start)
            _, _, size, place = self.tag(after, stop)
            self.data(after, stop, (_INT8,), None)
            if width <= 0 or size % width:
                raise ValueError(f"damaged field names at byte {after}")
            for _ in range(count * (size // width)):
                place = self.matrix(place, stop)
        elif array_class == _CHAR:
            self.data(place, stop, _TEXT, None)
        elif array_class == _SPARSE:
            for kinds in ((_INT32,), (_INT32,), _SIZES):
                place = self.data(place, stop, kinds, None)
        elif array_class >= _FIRST_NUMBER:
            for _ in range(2 if flags & _COMPLEX else 1):
                place = self.data(place, stop, _SIZES, count)


def _check_compressed(content: bytes, order: str) -> None:
    """Inflate a variable for its checksum, keeping one that may hold cells, to walk those."""
    stream = zlib.decompressobj()
    head = stream.decompress(content, _HEAD)
    _, size = struct.unpack_from(f"{order}II", head)
    (flags,) = struct.unpack_from(f"{order}I", head, 16)
    if flags & 0xFF in (_CELL, _STRUCT, _CHAR):
        whole = head + stream.decompress(stream.unconsumed_tail)
        if not stream.eof:
            raise ValueError(f"a compressed variable is cut short after {len(whole)} bytes")
        _Walker(whole, order).matrix(0, len(whole))
        return
    total = len(head)
    while not stream.eof:
        piece = stream.decompress(stream.unconsumed_tail, 1 << 20)
        total += len(piece)
        if not piece and not stream.eof:
            raise ValueError(f"a compressed variable is cut short after {total} bytes")
    if total != size + 8:
        raise ValueError(f"a compressed variable has {total} bytes, its tag says {size + 8}")
