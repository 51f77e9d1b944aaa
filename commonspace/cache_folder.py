"""The cache folder of this user, which all commands share."""

import os
from pathlib import Path

__all__ = ["default_cache"]


def default_cache() -> Path:
    """Return the cache folder of this user.

    It is $COMMONSPACE_CACHE, or commonspace in $XDG_CACHE_HOME or ~/.cache.
    """
    named = os.environ.get("COMMONSPACE_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "commonspace"
