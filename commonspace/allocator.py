"""Memory of the C library's allocator: kept between batches, and returned to the system.

glibc only; elsewhere nothing is done.
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["reuse_memory", "share_one_arena", "trim_memory"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # parameters of mallopt
_LARGEST_BLOCK = 2**30
_DEFAULT_BLOCK = 2**25
"""Where glibc's own thresholds settle in a program that frees large blocks."""


@contextmanager
def reuse_memory() -> Iterator[None]:
    """Keep freed memory for reuse inside the block, and return it to the system at its end.

    By default glibc returns large blocks to the system as soon as they are freed, so that each
    batch of a large network starts with millions of page faults, and it keeps small blocks
    scattered, so that a long run seems to grow by hundreds of megabytes. On two cores MobileNetV2
    runs more than twice as fast with the same peak memory. The setting applies to the whole
    process; without glibc the block does nothing.
    """
    mallopt = _libc_function("mallopt")
    if mallopt is None:
        yield
        return
    mallopt(_MMAP_THRESHOLD, _LARGEST_BLOCK)
    mallopt(_TRIM_THRESHOLD, 2 * _LARGEST_BLOCK - 1)
    try:
        yield
    finally:
        mallopt(_MMAP_THRESHOLD, _DEFAULT_BLOCK)
        mallopt(_TRIM_THRESHOLD, 2 * _DEFAULT_BLOCK)
        trim_memory()


def share_one_arena() -> None:
    """Let all threads of this process allocate from one arena, except those that have one.

    By default glibc opens up to eight arenas a core for threads, and ``trim_memory`` returns the
    free end of the first one only: a server with many threads keeps megabytes for each of them.
    """
    mallopt = _libc_function("mallopt")
    if mallopt is not None:
        mallopt(_ARENA_MAX, 1)


def trim_memory() -> None:
    """Return the free pages of this process to the system; takes milliseconds."""
    trim = _libc_function("malloc_trim")
    if trim is not None:
        trim(0)


def _libc_function(name: str) -> Any:  # noqa: ANN401 - a foreign function
    """Return a function of the C library, or None if it has none of that name."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
