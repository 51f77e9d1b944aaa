"""Keyword search by Okapi BM25, the baseline of search engines."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from commonspace.encoders.tokenize import tokenize

__all__ = ["BM25"]


class BM25:
    r"""Scores documents by the words that they share with a query.

    .. math:: s(q, d) = \sum_{t \in q} \log\left(1 + \frac{n - n_t + 1/2}{n_t + 1/2}\right)
              \frac{(k_1 + 1) f_{td}}{f_{td} + k_1 (1 - b + b |d| / \bar{|d|})}

    with f the count of a word in a document, n_t the number of documents with it. Source:
    Robertson, Zaragoza: The Probabilistic Relevance Framework: BM25 and Beyond, Foundations and
    Trends in Information Retrieval 3(4), 2009, eq. 3.15, with the logarithm of Lucene, which is
    never negative. Words are those of ``encoders.tokenize``, without stemming or stop words.

    Args:
        documents: n texts.
        k1: Saturation of the count of a word.
        b: Weight of the length of a document.

    Example:
        >>> scores = BM25(["a red kite", "a blue boat"]).scores(["red boat", "green"])
        >>> scores.astype(float).round(3).tolist()
        [[0.693, 0.693], [0.0, 0.0]]
    """

    def __init__(self, documents: Sequence[str], *, k1: float = 1.2, b: float = 0.75) -> None:
        counts = [Counter(tokenize(text)) for text in documents]
        lengths = np.array([sum(words.values()) for words in counts], dtype=np.float64)
        mean = max(float(lengths.mean()) if len(lengths) else 0.0, 1.0)
        self._documents = len(documents)
        postings: dict[str, list[tuple[int, float]]] = {}
        for number, words in enumerate(counts):
            limit = k1 * (1 - b + b * lengths[number] / mean)
            for word, count in words.items():
                weight = (k1 + 1) * count / (count + limit)
                postings.setdefault(word, []).append((number, weight))
        self._postings = {
            word: (
                np.array([number for number, _ in entries]),
                math.log(1 + (len(documents) - len(entries) + 0.5) / (len(entries) + 0.5))
                * np.array([weight for _, weight in entries]),
            )
            for word, entries in postings.items()
        }

    def scores(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """Return (q, n) float32, the score of each document for each query."""
        found = np.zeros((len(queries), self._documents), dtype=np.float32)
        for row, text in zip(found, queries, strict=True):
            for word, count in Counter(tokenize(text)).items():
                if word in self._postings:
                    numbers, weights = self._postings[word]
                    row[numbers] += count * weights
        return found
