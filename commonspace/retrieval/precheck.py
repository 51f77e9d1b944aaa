"""Check of a filter before a space is loaded, which takes seconds."""

from pathlib import Path

from commonspace.retrieval.filter import compile_filter
from commonspace.retrieval.store import Store

__all__ = ["check_filter"]


def check_filter(index: Path, where: str) -> None:
    """Check a filter against the fields of an index; imports no torch.

    Args:
        index: folder of the index; one without a store is left to ``Index.open``.
        where: the condition.

    Raises:
        SettingError: If the filter is invalid, or names a field that no item has.
        StoreError: If the store is damaged.
    """
    path = index / "store.sqlite"
    if not path.is_file():
        return
    store = Store.open(path)
    try:
        compile_filter(where, store.fields)
    finally:
        store.close()
