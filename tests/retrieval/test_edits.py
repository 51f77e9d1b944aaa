"""Removal of items, and new labels: all of them, or none."""

import pytest

from commonspace.errors import DataError
from commonspace.retrieval import Change, Index


def test_ids_that_are_not_there_cannot_be_removed(index: Index) -> None:
    with pytest.raises(DataError, match="no item 'article 77'"):
        index.remove(["article 1", "article 77"])
    with pytest.raises(DataError, match="no item 7"):
        index.remove([7])  # type: ignore[list-item]
    for ids in ("article 1", 5, None):
        with pytest.raises(DataError, match="the ids are not a list"):
            index.remove(ids)  # type: ignore[arg-type]
    assert len(index) == 40
    assert index.remove(["article 1", "article 1"]) == Change(removed=1)


def test_labels_are_replaced_and_everything_else_stays(index: Index) -> None:
    before, other = index.item("article 1"), index.item("article 2")
    assert before is not None
    assert before.labels == ("shoes",)
    change = index.set_labels({"article 1": ["hats", "worn"], "article 4": ["shoes"]})
    assert change == Change(described=1, unchanged=1)
    after = index.item("article 1")
    assert after is not None
    assert after.labels == ("hats", "worn")
    assert (after.fields, after.split) == (before.fields, before.split)
    assert index.item("article 2") == other
    generation = index.generation
    assert index.set_labels({"article 1": after.labels}) == Change(unchanged=1)
    assert index.generation == generation
    assert index.verify().problems == ()


def test_labels_of_an_unknown_item_change_nothing(index: Index) -> None:
    with pytest.raises(DataError, match="no item 'article 77'"):
        index.set_labels({"article 1": ["worn"], "article 77": ["worn"]})
    item = index.item("article 1")
    assert item is not None
    assert item.labels == ("shoes",)
    with pytest.raises(DataError, match="the labels are not a mapping"):
        index.set_labels(["kite"])  # type: ignore[arg-type]
