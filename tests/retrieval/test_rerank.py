"""Diversity, near-duplicates behind the best of them, words to avoid, and weights of parts."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from commonspace import CommonSpace, Dataset, Features
from commonspace.errors import SettingError
from commonspace.retrieval import Index, Query
from commonspace.retrieval.rerank import diversify, group_similar

Make = Callable[..., Dataset]

QUERY = np.random.default_rng(5).normal(size=6).astype(np.float32)


@pytest.fixture
def index(tmp_path: Path, space: CommonSpace, make: Make) -> Iterator[Index]:
    """Return 30 articles, of which 20 to 29 nearly equal 0 to 9."""
    data = make(range(30))
    columns = {}
    for name, column in data.columns.items():
        assert isinstance(column, Features)
        values, present = column.values.copy(), column.present.copy()
        noise = np.random.default_rng(1).normal(size=(10, 6)) * 0.01
        values[20:], present[20:] = values[:10] + noise, present[:10]
        columns[name] = Features(values, present=present)
    with Index.create(tmp_path / "shop", space, replace(data, columns=columns)) as opened:
        yield opened


def naive_similarity(index: Index, ids: list[str]) -> NDArray[np.float64]:
    """Return the mean cosine of the modalities that two items share."""
    vectors = [index.vectors(id) for id in ids]
    return np.array(
        [
            [
                np.mean([one[name] @ other[name] for name in one if name in other])
                for other in vectors
            ]
            for one in vectors
        ]
    )


def test_results_are_the_naive_maximal_marginal_relevance(index: Index) -> None:
    plain = index.search(vector=QUERY, k=30)
    ids, scores = [one.id for one in plain], np.array([one.score for one in plain])
    similarity = naive_similarity(index, ids)
    scaled = (scores - scores.min()) / (scores.max() - scores.min())
    chosen = [0]
    while len(chosen) < len(ids):
        rest = [one for one in range(len(ids)) if one not in chosen]
        chosen.append(
            max(rest, key=lambda one: 0.6 * scaled[one] - 0.4 * similarity[one, chosen].max())
        )
    found = index.search(vector=QUERY, k=30, diversity=0.4)
    assert [one.id for one in found] == [ids[one] for one in chosen]
    assert {one.id: one.score for one in found} == pytest.approx(
        {one.id: one.score for one in plain}
    )
    pages = [index.search(vector=QUERY, k=7, offset=at, diversity=0.4) for at in (0, 7, 14)]
    assert [one.id for page in pages for one in page] == [one.id for one in found][:21]


def test_near_duplicates_are_behind_the_best_of_them(index: Index) -> None:
    plain = [one.id for one in index.search(vector=QUERY, k=30)]
    found = index.search(vector=QUERY, k=30, max_similarity=0.95)
    assert len(found) == 20
    shown = [one.id for one in found]
    assert shown == [id for id in plain if id in shown]
    for one in found:
        number = int(one.id.split()[1])
        twin = number + 20 if number < 10 else number - 20
        assert one.similar == ((f"article {twin}",) if number < 10 or number >= 20 else ())
        assert all(plain.index(one.id) < plain.index(other) for other in one.similar)
    assert len(index.search(vector=QUERY, k=5, max_similarity=0.95)) == 5


def test_words_to_avoid_leave_items_out(index: Index) -> None:
    plain = index.search(vector=QUERY, k=30)
    found = index.search(vector=QUERY, k=30, without="ACME")
    assert [one.id for one in found] == [one.id for one in plain if "brand" not in one.fields]
    assert found.total == 15
    both = index.search(vector=QUERY, k=30, without="acme", where="price < 100")
    assert both.total == 5
    assert index.search(vector=QUERY, k=30, without="nothing").total == 30
    with pytest.raises(SettingError, match="without"):
        index.search(vector=QUERY, without="- !")


def test_the_weight_of_the_text_moves_the_query(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 1 the ranking is that of the text, at 0 that of the rest, at 0.5 that of the mean."""
    words, other = (index.vectors(f"article {number}")["image"] for number in (1, 2))
    monkeypatch.setattr(
        index._space.embedder()[1], "texts", lambda texts: (np.stack([words] * len(texts)), None)
    )
    for weight in (0.0, 0.3, 0.5, 1.0):
        unit = [one / np.linalg.norm(one) for one in (words, other)]
        mean = weight * unit[0] + (1 - weight) * unit[1]
        expected = index.search(vector=mean, k=30)
        found = index.search("words", vector=other, k=30, text_weight=weight)
        assert [one.id for one in found] == [one.id for one in expected]
        assert [one.score for one in found] == pytest.approx(
            [one.score for one in expected], abs=1e-6
        )


@pytest.mark.parametrize(
    "options",
    [{"text_weight": 1.5}, {"diversity": -0.1}, {"max_similarity": 2}, {"without": " "}],
)
def test_values_out_of_range_are_errors(options: dict[str, float]) -> None:
    with pytest.raises(SettingError):
        Query("a", **options)  # type: ignore[arg-type]


def test_without_diversity_the_order_is_that_of_the_scores() -> None:
    scores = np.array([3, 2, 1], dtype=np.float32)
    assert diversify(scores, np.ones((3, 3)), 0.0) == [0, 1, 2]
    assert diversify(scores[:0], np.ones((0, 0)), 0.5) == []
    assert diversify(np.ones(2, dtype=np.float32), np.eye(2), 1.0, fixed=2) == [0, 1]
    assert group_similar(np.ones((0, 0)), 0.5) == []
