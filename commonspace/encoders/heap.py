"""Memory that was freed, back to the system.

glibc keeps the large blocks that batches leave behind and scatters small ones among them, so that a
long run seems to grow by hundreds of megabytes. Elsewhere there is nothing to do.
"""

import ctypes
import sys

__all__ = ["trim_heap"]


def trim_heap() -> None:
    """Return the free pages of this process to the system; takes milliseconds."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries lack it
        if trim is not None:
            trim(0)
