"""A query unlike the training data: lower relevance, and a remark that nothing matches."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from commonspace import CommonSpace, Dataset
from commonspace.retrieval import Index, Query

Make = Callable[..., Dataset]

INSIDE = {"like it": 1.0, "half": 0.5, "nearly": 0.25, "unlike": 0.0}
OTHERS = {"acme": 0.0, "acme 7": 0.0}


@pytest.fixture
def index(
    tmp_path: Path, space: CommonSpace, make: Make, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Index]:
    """Return an index whose space is calibrated, and reads the words of ``INSIDE``."""
    assert space.calibrated
    with Index.create(tmp_path / "shop", space, make(range(20))) as opened:
        vector = opened.vectors("article 3")["image"]

        def texts(words: list[str]) -> tuple[object, object]:
            return np.stack([vector] * len(words)), np.array(
                [{**INSIDE, **OTHERS}[word] for word in words]
            )

        monkeypatch.setattr(opened._space.embedder()[1], "texts", texts)
        yield opened


def test_relevance_is_multiplied_by_the_probability_of_being_in_distribution(index: Index) -> None:
    plain = index.search(vector=index.vectors("article 3")["image"], k=20)
    relevance = [one.relevance for one in plain]
    assert max(relevance) > 0.1  # type: ignore[type-var, operator]
    for results, probability in zip(
        index.search_many([Query(text, k=20) for text in INSIDE]), INSIDE.values(), strict=True
    ):
        assert [one.id for one in results] == [one.id for one in plain]
        expected = [probability * float(one or 0) for one in relevance]
        assert [one.relevance for one in results] == pytest.approx(expected)
        assert results.nothing_matches == (probability < 0.5)
        assert ("nothing matches" in repr(results)) == (probability < 0.5)
    assert not plain.nothing_matches
    assert index.search("unlike", min_relevance=0.01) == []


def test_a_query_with_a_known_part_matches(index: Index) -> None:
    assert index.search("unlike").nothing_matches
    assert not index.search("unlike", id="article 5").nothing_matches
    assert not index.search("unlike", vector=np.ones(6)).nothing_matches


def test_words_of_an_item_match_whatever_their_vector(index: Index) -> None:
    assert index.search("acme 7").nothing_matches  # no item has the word 7
    results = index.search("acme", k=20)
    assert not results.nothing_matches
    assert sum(one.has_keywords for one in results) == 10


def test_words_unlike_the_training_data_weigh_less_beside_a_photo(index: Index) -> None:
    """The default weight of the text is multiplied by its probability, at least 0.1."""
    other = index.vectors("article 7")["image"]
    weight = index.space.default_text_weight
    for text, probability in INSIDE.items():
        scaled = weight * max(probability, 0.1)
        expected = scaled / (scaled + 1 - weight)
        plain = index.search(text, vector=other, k=20, text_weight=expected)
        found = index.search(text, vector=other, k=20)
        assert [one.id for one in found] == [one.id for one in plain], text
        assert [one.score for one in found] == pytest.approx([one.score for one in plain])
    given = index.search("unlike", vector=other, k=20, text_weight=weight)
    assert [one.score for one in given] == pytest.approx(
        [one.score for one in index.search("like it", vector=other, k=20)]
    )
