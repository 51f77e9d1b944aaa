"""Milvus Lite returns what exact search returns."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commonspace import CommonSpace, Dataset
from commonspace.errors import SettingError, StoreError
from commonspace.methods import CCA
from commonspace.retrieval import Index, Query, vector_index
from commonspace.retrieval.backends import milvus

pytest.importorskip("milvus_lite")

Make = Callable[..., Dataset]

QUERIES = np.random.default_rng(9).normal(size=(5, 6)).astype(np.float32)


@pytest.fixture
def pair(
    tmp_path: Path, space: CommonSpace, make: Make, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Index, Index]]:
    """Return two indexes of the same articles: one in Milvus, one of exact search."""
    monkeypatch.setattr(vector_index, "MIN_CHANGES", 30)
    monkeypatch.setattr(milvus, "LISTED", 7)  # so that filters are divided
    with (
        Index.create(
            tmp_path / "served", space, make(range(60)), kind=f"milvus:{tmp_path / 'm.db'}"
        ) as served,
        Index.create(tmp_path / "exact", space, make(range(60))) as exact,
    ):
        yield served, exact


def rankings(index: Index, **options: Any) -> list[list[tuple[str, str, Any]]]:  # noqa: ANN401
    return [
        [(one.id, one.modality, pytest.approx(one.score, abs=1e-6)) for one in found]
        for found in index.search_many([Query(vector=query, **options) for query in QUERIES])
    ]


def collections(index: Index) -> list[str]:
    uri = index.info()["kind"].removeprefix(milvus.PREFIX)
    names: list[str] = milvus._client(uri).list_collections()
    return names


def check(served: Index, exact: Index) -> None:
    assert len(served) == len(exact)
    for options in (
        {"k": 5},
        {"k": 200},
        {"k": 5, "modality": "text"},
        {"k": 5, "where": "price < 300"},
        {"k": 5, "where": "price = 30"},
        {"k": 5, "where": "brand is null"},
    ):
        assert rankings(served, **options) == rankings(exact, **options)


def test_changes_are_found(pair: tuple[Index, Index], make: Make, space: CommonSpace) -> None:
    served, exact = pair
    assert len(collections(served)) == 2
    check(served, exact)
    for index in pair:
        index.remove([f"article {number}" for number in (3, 5, 8)])
    check(served, exact)
    for index in pair:
        index.update(make(range(50, 64), version=1))
    check(served, exact)
    with Index.open(served.path, space=space) as again:
        check(again, exact)
    for index in pair:  # so much that the collections are rebuilt
        index.add(make(range(100, 180)))
    check(served, exact)
    assert len(collections(served)) == 2
    found = served.verify()
    assert (found.problems, found.repaired) == ((), ())
    assert found.kinds == {"image": "milvus", "text": "milvus"}
    assert found.costs["image"].recall == 1
    assert found.costs["image"].map_index == pytest.approx(found.costs["image"].map_exact)


def test_a_lost_collection_is_rebuilt(
    pair: tuple[Index, Index], space: CommonSpace, tmp_path: Path
) -> None:
    served, exact = pair
    client = milvus._client(str(tmp_path / "m.db"))
    client.drop_collection(collections(served)[0])
    client.delete(collections(served)[0], ids=[4])
    with Index.open(served.path, space=space) as again:
        check(again, exact)
        assert len(again.notes) == 2
    assert len(collections(served)) == 2


def test_migration_drops_the_former_collections(pair: tuple[Index, Index], make: Make) -> None:
    data = make(range(200, 260))
    data = replace(data, splits=np.array(["train", "validation"] * 30))
    other = CCA(dimension=6).fit(data.split("train"), data.split("validation"))
    for index in pair:
        index.migrate(other)
        index.add(make(range(300, 340)))
    check(*pair)
    assert len(collections(pair[0])) == 2


def test_invalid_addresses_and_sizes_are_refused(
    pair: tuple[Index, Index], space: CommonSpace, tmp_path: Path
) -> None:
    with pytest.raises(SettingError, match="address of Milvus is missing"):
        Index.create(tmp_path / "other", space, kind="milvus:")
    with pytest.raises(StoreError, match="cannot be used"):
        Index.create(tmp_path / "other", space, kind=f"milvus:{tmp_path / 'absent' / 'm.db'}")
    assert not (tmp_path / "other").exists()
    with pytest.raises(SettingError, match="does not return as many"):
        milvus.MilvusBackend("", "", 10**6).search(QUERIES, 20_000)
    with pytest.raises(StoreError, match="cannot be used"):
        milvus.MilvusBackend(str(tmp_path / "m.db"), "absent", 3).search(QUERIES, 2)
