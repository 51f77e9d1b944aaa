"""Figures of pair retrieval on one split: R@1, R@5, R@10 and median rank of each direction."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.assessment.bm25 import BM25
from commonspace.data.columns import Texts
from commonspace.data.content import content_keys
from commonspace.data.dataset import Dataset
from commonspace.evaluation import PairItems, RankedPairs, rank_pairs
from commonspace.evaluation.intervals import sample_contributions
from commonspace.evaluation.protocol import embed_for_evaluation
from commonspace.space import CommonSpace

__all__ = ["K", "MeasuredPairs", "PairSplit"]

K = 10
"""Depth of the recall by which methods are chosen and compared."""

Embedded = Mapping[str, tuple[NDArray[np.float32], NDArray[np.intp]]]
"""Modality -> (m, d) embeddings, and the (m,) row of each."""

Ranked = tuple[str, RankedPairs, NDArray[np.intp]]
"""Direction, its ranks, and the (m,) row of each query item."""


@dataclass(frozen=True, eq=False)
class MeasuredPairs:
    """Figures on a split.

    Args:
        directions: Such as "image->text" -> figures, as ``PairReport`` has them.
        values: (s,) contribution of each sample to R@10, the mean over the directions; NaN where
            a sample has no pair.
        bytes: Bytes of an item in the gallery, as float32 or as text.
    """

    directions: Mapping[str, Mapping[str, Any]]
    values: NDArray[np.float64]
    bytes: int = 0

    @property
    def recall(self) -> float:
        """R@10, the mean over the directions."""
        return float(np.nanmean(self.values))


class PairSplit:
    """The samples of a split, with what makes two of their items equal.

    Args:
        data: The split; columns are features. Rows with one value of the field "sample" are
            captions of one sample.
    """

    def __init__(self, data: Dataset) -> None:
        self.data = data
        names = [str(one) for one in data.fields.get("sample", data.ids)]
        self._samples = np.unique(names, return_inverse=True)[1]
        self._keys = {name: content_keys(column) for name, column in data.columns.items()}

    def measure_space(self, space: CommonSpace, items: Dataset) -> MeasuredPairs:
        """Measure a space.

        Args:
            space: Fitted.
            items: The samples of this split as the space reads them: features, or raw items.
        """
        embedded = embed_for_evaluation(space, items)
        found = {name: (embedded.vectors[name], embedded.rows[name]) for name in embedded.vectors}
        return self.measure_vectors(found, 4 * space.dimension)

    def measure_vectors(self, embedded: Embedded, size: int) -> MeasuredPairs:
        """Measure embeddings, whose inner product is the score.

        Args:
            embedded: Modality -> embeddings and their rows.
            size: Bytes of one.
        """
        return self._measured(self._rank(embedded), size)

    def measure_chance(self) -> MeasuredPairs:
        """Return the figures of a random order."""
        embedded = {}
        for name, column in self.data.columns.items():
            rows = np.flatnonzero(column.present)
            embedded[name] = (np.arange(len(rows), dtype=np.float32)[:, None], rows)
        return self._measured(
            ((name, ranked.in_random_order(), rows) for name, ranked, rows in self._rank(embedded)),
            0,
        )

    def measure_keywords(self, texts: Mapping[str, Texts]) -> MeasuredPairs:
        """Measure BM25 between the texts of each two modalities.

        Args:
            texts: Modality -> texts of the samples, in the same order; at least two.
        """
        rows = {name: np.flatnonzero(column.present) for name, column in texts.items()}
        whole = {
            name: [" ".join(texts[name].items[row]) for row in each.tolist()]
            for name, each in rows.items()
        }

        def ranked() -> Iterator[Ranked]:
            for source, target in permutations(texts, 2):
                scores = BM25(whole[target]).scores(whole[source])
                queries = np.eye(len(scores), dtype=np.float32)  # their products are the scores
                items = np.ascontiguousarray(scores.T)
                sides = (source, queries, rows[source]), (target, items, rows[target])
                first, second = (self._items(*side) for side in sides)
                yield f"{source}->{target}", rank_pairs(first, second), rows[source]

        sizes = [len(text.encode()) for each in whole.values() for text in each]
        return self._measured(ranked(), int(np.mean(sizes)))

    def _items(self, name: str, vectors: NDArray[np.float32], rows: NDArray[np.intp]) -> PairItems:
        return PairItems(vectors, self._samples[rows], self._keys[name][rows])

    def _rank(self, embedded: Embedded) -> Iterator[Ranked]:
        items = {name: self._items(name, *each) for name, each in embedded.items()}
        for source, target in permutations(items, 2):
            ranked = rank_pairs(items[source], items[target])
            yield f"{source}->{target}", ranked, embedded[source][1]

    def _measured(self, directions: Iterator[Ranked], size: int) -> MeasuredPairs:
        figures, recalls = {}, []
        for name, ranked, rows in directions:
            if ranked.queries:
                figures[name] = ranked.figures()
                values = np.full(len(self.data), np.nan)
                values[rows] = ranked.recall(K)
                recalls.append(values)
        return MeasuredPairs(figures, self._by_sample(np.stack(recalls)), size)

    def _by_sample(self, recalls: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (s,) contributions of the samples, whose rows are drawn together.

        Args:
            recalls: (d, n) by direction and row; NaN where a row is no query.
        """
        sums = np.bincount(self._samples, sample_contributions(recalls))
        queries = np.bincount(self._samples, np.isfinite(recalls).any(axis=0))
        judged = queries > 0
        return np.where(judged, sums * judged.sum() / recalls.shape[1], np.nan)
