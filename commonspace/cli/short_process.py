"""Start and end of a short command: without garbage collection, which would be a third of it.

Importing torch makes a million objects that live until the process ends. Python would search them
for garbage several times while they are made, and again at the end.
"""

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["without_collection"]


@contextmanager
def without_collection() -> Iterator[None]:
    """Import and load inside the block without garbage collection, and end the process without."""
    was_enabled = gc.isenabled()
    gc.disable()
    atexit.register(gc.freeze)
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
