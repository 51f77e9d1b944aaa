"""BM25 against the formula, written out for each pair."""

import math

import numpy as np

from commonspace.assessment.bm25 import BM25


def naive(query: list[str], document: list[str], documents: list[list[str]]) -> float:
    mean = sum(map(len, documents)) / len(documents)
    total = 0.0
    for word in query:  # a repeated word counts each time
        n = sum(word in other for other in documents)
        f = document.count(word)
        idf = math.log(1 + (len(documents) - n + 0.5) / (n + 0.5))
        total += idf * 2.2 * f / (f + 1.2 * (0.25 + 0.75 * len(document) / mean))
    return total


def test_scores_follow_the_formula() -> None:
    draw = np.random.default_rng(0)
    words = np.array(["red", "kite", "boat", "sea", "blue", "tree"])
    documents = [draw.choice(words, draw.integers(1, 9)).tolist() for _ in range(12)]
    queries = [["red", "kite"], ["sea", "sea", "unknown"], ["?"]]
    found = BM25([" ".join(one) for one in documents]).scores([" ".join(one) for one in queries])
    expected = [[naive(query, one, documents) for one in documents] for query in queries]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_case_and_punctuation_do_not_count() -> None:
    search = BM25(["A RED kite!", "boats"])
    np.testing.assert_array_equal(search.scores(["red, Kite"]), search.scores(["RED KITE"]))
    assert search.scores(["red"])[0].argmax() == 0


def test_empty_texts_have_no_score() -> None:
    assert BM25(["", ""]).scores(["", "word"]).tolist() == [[0, 0], [0, 0]]
