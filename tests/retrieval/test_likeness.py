"""Queries unlike all items, in spaces that do not detect them on their own, by a naive oracle."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from commonspace import CommonSpace, Dataset, Features
from commonspace.retrieval import Index
from commonspace.retrieval.likeness import ItemLikeness

Make = Callable[..., Dataset]


def many(make: Make, count: int, fresh: int) -> Dataset:
    """Return items whose vectors lie around one direction, the first ones not trained on."""
    data = make(range(count))
    values = np.random.default_rng(1).normal(size=(count, 6)) * 0.3 + np.eye(6)[0]
    splits = np.where(np.arange(count) < fresh, "test", "train")
    return replace(
        data, splits=splits, columns={**data.columns, "image": Features(values)}, fields={}
    )


def naive(
    vectors: NDArray[np.float32], queries: NDArray[np.float32], rows: slice
) -> NDArray[np.float64]:
    """Return the probabilities of queries, one by one."""

    def mean(query: NDArray[np.float32], others: NDArray[np.float32]) -> float:
        lengths = np.linalg.norm(others, axis=1) * np.linalg.norm(query)
        return float(np.mean(sorted(others @ query / lengths)[-10:]))

    known = [
        mean(vectors[row], np.delete(vectors, row, axis=0)) for row in range(len(vectors))[rows]
    ]
    low, high = np.quantile(known, [0.01, 0.05])
    scores = np.array([mean(query, vectors) for query in queries])
    found: NDArray[np.float64] = np.clip((scores - low) / max(high - low, 1e-3), 0, 1)
    return found


@pytest.mark.parametrize(("count", "fresh"), [(40, 40), (90, 90), (90, 50)])
def test_probabilities_are_those_of_a_plain_comparison(
    count: int, fresh: int, tmp_path: Path, space: CommonSpace, make: Make
) -> None:
    data = many(make, count, fresh)
    queries = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)
    queries[:, 0] += 1
    with Index.create(tmp_path / "shop", space, data) as index:
        vectors = np.stack([index.vectors(one)["image"] for one in data.ids])
        found = ItemLikeness(index._store).probability(index._store.space, "image", queries)
    assert found is not None
    np.testing.assert_allclose(found, naive(vectors, queries, slice(fresh)), atol=1e-3)
    assert 0 < (found < 0.5).mean() < 1


def test_few_items_and_unknown_modalities_tell_nothing(
    tmp_path: Path, space: CommonSpace, make: Make
) -> None:
    with Index.create(tmp_path / "shop", space, many(make, 90, 39)) as index:
        likeness, queries = ItemLikeness(index._store), np.ones((1, 6), dtype=np.float32)
        assert likeness.probability(index._store.space, "image", queries) is None
        assert likeness.probability(index._store.space, "sound", queries) is None
        more = make(range(100, 110))
        index.add(replace(more, splits=np.full(10, "test"), fields={}))
        assert likeness.probability(index._store.space, "image", queries) is not None


def test_a_search_reports_texts_unlike_all_items(
    tmp_path: Path, space: CommonSpace, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not space.has_instance_block
    with Index.create(tmp_path / "shop", space, many(make, 60, 50)) as index:
        vectors = {"like": index.vectors("article 3")["image"]}
        vectors["unlike"] = -np.mean(
            [index.vectors(f"article {row}")["image"] for row in range(60)], axis=0
        )
        embedder = index._space.embedder()[1]
        monkeypatch.setattr(
            embedder, "texts", lambda words: (np.stack([vectors[one] for one in words]), None)
        )
        monkeypatch.setattr(embedder, "modality_reading", lambda _: "image")
        monkeypatch.setattr(embedder, "reads", lambda _: True)
        assert not index.search("like").nothing_matches
        assert index.search("unlike").nothing_matches
        assert not index.search("unlike", id="article 5").nothing_matches
