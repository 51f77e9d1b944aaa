"""Keyword search and chance against plain loops."""

import numpy as np
import pytest

from commonspace.assessment.bm25 import BM25
from commonspace.assessment.measure import measure_chance, measure_keywords
from commonspace.data import Dataset, Features, Texts

WORDS = ["red kite", "red boat sea", "kite wind", "sea boat", "wind", "lonely"]
CLASSES = [0, 1, 0, 1, 0, 2]


def six() -> tuple[Dataset, Texts]:
    data = Dataset(
        name="six",
        ids=tuple("abcdef"),
        columns={"image": Features(np.eye(6)), "text": Features(np.eye(6))},
        labels=np.eye(3, dtype=bool)[CLASSES],
        class_names=("x", "y", "z"),
        splits=np.full(6, "test"),
    )
    return data, Texts(tuple((text,) for text in WORDS))


def test_a_text_finds_the_other_texts_but_not_itself() -> None:
    data, texts = six()
    measured = measure_keywords(data, texts, "text")
    assert measured is not None
    scores = BM25(WORDS).scores(WORDS)
    for query in range(6):
        others = [item for item in range(6) if item != query]
        relevant = [CLASSES[item] == CLASSES[query] for item in others]
        values = scores[query, others]
        # expected average precision over the order of ties: the mean over random orders
        draw = np.random.default_rng(query)
        figures = []
        for _ in range(4000):
            order = np.lexsort((draw.random(5), -values))
            hits = np.array(relevant)[order]
            precision = np.cumsum(hits) / np.arange(1, 6)
            figures.append((precision * hits).sum() / max(hits.sum(), 1))
        assert measured.directions["text->text"][query] == pytest.approx(np.mean(figures), abs=0.02)
    assert measured.bytes == int(np.mean([len(one) for one in WORDS]))


def test_samples_without_a_text_are_no_queries() -> None:
    data, texts = six()
    items = (*texts.items[:2], (), *texts.items[3:])
    measured = measure_keywords(data, Texts(items), "text")
    assert measured is not None
    assert (
        np.isnan(measured.directions["text->text"]).tolist() == [False, False, True] + [False] * 3
    )
    assert measure_keywords(data, Texts(((),) * 6), "text") is None


def test_chance_is_the_share_of_relevant_items() -> None:
    data, _ = six()
    measured = measure_chance(data)
    assert measured.map == pytest.approx((3 * 3 + 2 * 2 + 1) / 36)
    assert measured.precision == pytest.approx(measured.map)
    assert measured.recall == 1
