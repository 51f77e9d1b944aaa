"""Retrieval of pairs: Recall@K, median rank and mean reciprocal rank, without labels.

Items of equal content are one item, and two items are a pair if they belong to one sample. So any
of several captions of a photo is right for the photo, and the photo is right for each of them, as
is usual for Flickr30K and MS-COCO (Karpathy and Fei-Fei: Deep Visual-Semantic Alignments for
Generating Image Descriptions, CVPR 2015).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.engines import Engine
from commonspace.errors import DataError
from commonspace.evaluation.arrays import check_embeddings
from commonspace.evaluation.intervals import resample_batches
from commonspace.evaluation.ranked_metrics import expected_rank, first_relevant, probability_within
from commonspace.evaluation.ranking import Ranking
from commonspace.tables import Table, to_frame

__all__ = ["PairItems", "PairReport", "evaluate_pairs", "mean_recall"]

KS = (1, 5, 10)
"""The K of Recall@K."""

AVERAGE = "average"


@dataclass(frozen=True, eq=False)
class PairItems:
    """Embeddings of one modality, with the sample and the content of each.

    Args:
        vectors: (n, d) embeddings.
        samples: (n,) int, the sample of each; several captions of a photo have one sample.
        keys: (n,) int, equal where items have equal content.
    """

    vectors: ArrayLike
    samples: NDArray[np.intp]
    keys: NDArray[np.intp]


class PairReport(dict[str, dict[str, Any]]):
    """Figures of pair retrieval for each direction: a dictionary that prints as a table.

    For every ordered pair of modalities with common samples, such as "image->text", it holds

    - "R@1", "R@5", "R@10": share of the queries with a pair among the first K results;
    - "median_rank" of the first pair, from 1; lower is better;
    - "mrr": mean reciprocal rank of the first pair;
    - "intervals": figure -> [low, high], percentile bootstrap of 95 % over the samples;
    - "queries": number of distinct items with a pair, "gallery": number of distinct items;

    and under "average" the means of R@K, of their mean ("mean_recall"), and of the mrr over the
    directions. Ties count by their expected value. ``json.dumps`` accepts it.
    """

    @property
    def mean_recall(self) -> float:
        """Mean of R@1, R@5 and R@10 over all directions, in [0, 1]."""
        return float(self[AVERAGE]["mean_recall"])

    def to_frame(self) -> Any:  # noqa: ANN401 - pandas is optional
        """Return a pandas ``DataFrame``: a row for each direction and the average.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        rows = [{"direction": name, **figures} for name, figures in self.items()]
        return to_frame(rows, index="direction")

    def to_table(self, title: str = "pairs") -> Table:
        """Return the figures as a formatted table, a column for each direction."""
        names = [name for name in self if name != AVERAGE]
        figures = [*(f"R@{k}" for k in KS), "mrr", "median_rank"]
        rows = [
            [
                {"mrr": "MRR", "median_rank": "median rank"}.get(figure, figure),
                *(_cell(figure, self[name]) for name in names),
                f"{self[AVERAGE][figure]:.3f}" if figure in self[AVERAGE] else "",
            ]
            for figure in figures
        ]
        rows += [
            [count, *(str(self[name][count]) for name in names), ""]
            for count in ("queries", "gallery")
        ]
        note = "(): 95 % bootstrap interval over the samples; items of equal content count once"
        return Table(title, ["", *names, AVERAGE], rows, [note])

    def __repr__(self) -> str:
        """Return the table."""
        return str(self.to_table())

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        return self.to_table().to_html()


def evaluate_pairs(
    items: Mapping[str, PairItems],
    *,
    resamples: int = 1000,
    seed: int = 0,
    engine: Engine | None = None,
) -> PairReport:
    """Measure how well each modality finds its pairs in every other.

    Args:
        items: modality -> its items.
        resamples: number of bootstrap resamples; 0 for no intervals.
        seed: of the resamples.
        engine: runs shards of the queries; None: threads of this process. The figures are equal.

    Raises:
        DataError: no two modalities have a common sample, or embeddings are invalid.

    Example:
        >>> rows = np.arange(2)
        >>> image = PairItems([[1.0, 0.0], [0.0, 1.0]], rows, rows)
        >>> text = PairItems([[0.9, 0.1], [0.8, 0.2]], rows, rows)
        >>> report = evaluate_pairs({"image": image, "text": text})
        >>> report["image->text"]["R@1"], report["text->image"]["R@1"], report["average"]["mrr"]
        (1.0, 0.5, 0.875)
    """
    report = PairReport()
    for source, target in permutations(items, 2):
        relation = _Relation.of(items[source], items[target])
        if not relation.judged.any():
            continue
        ranks = _ranks(items[source], items[target], relation, engine)
        paired = relation.judged
        figures = _figures(ranks[paired])
        means: dict[str, Any] = {
            name: math.fsum(values) / len(values) for name, values in figures.items()
        }
        expected = expected_rank(ranks[paired])
        means["median_rank"] = float(np.median(expected))
        if resamples:
            clusters = relation.clusters()
            rng = np.random.default_rng(seed)
            means["intervals"] = _intervals(figures, expected, clusters, rng, resamples)
        means |= {"queries": int(paired.sum()), "gallery": relation.shape[1]}
        report[f"{source}->{target}"] = means
    if not report:
        raise DataError(
            "there are no pairs to evaluate",
            expected="samples with two modalities, such as a photo and its text",
            found=", ".join(f"{len(one.samples)} of {name!r}" for name, one in items.items()),
            advice="give each sample both modalities, or label the samples",
        )
    average = {
        name: math.fsum(figures[name] for figures in report.values()) / len(report)
        for name in (*(f"R@{k}" for k in KS), "mrr")
    }
    average["mean_recall"] = math.fsum(average[f"R@{k}"] for k in KS) / len(KS)
    report[AVERAGE] = average
    return report


def mean_recall(items: Mapping[str, PairItems]) -> float:
    """Return the mean of R@1, R@5 and R@10 over all directions, in [0, 1].

    It is the sum of recalls by which models of image and text are chosen (Faghri et al.: VSE++,
    BMVC 2018), divided by their number.

    Args:
        items: modality -> its items.

    Raises:
        DataError: as for ``evaluate_pairs``.
    """
    return evaluate_pairs(items, resamples=0).mean_recall


@dataclass(frozen=True, eq=False)
class _Relation:
    """Relevance of distinct items: grade 1 where some sample has both.

    Args:
        starts: (n + 1,) where the gallery items of each query start in ``targets``.
        targets: gallery items, ascending for each query.
        shape: (n, m), numbers of distinct items.
    """

    starts: NDArray[np.intp]
    targets: NDArray[np.intp]
    shape: tuple[int, int]
    highest: int = 1

    @classmethod
    def of(cls, query: PairItems, gallery: PairItems) -> "_Relation":
        _, left = np.unique(query.keys, return_inverse=True)
        names, right = np.unique(gallery.keys, return_inverse=True)
        members: dict[int, list[int]] = {}
        for sample, item in zip(gallery.samples.tolist(), right.tolist(), strict=True):
            members.setdefault(sample, []).append(item)
        n, m = int(left.max(initial=-1)) + 1, len(names)
        found: list[set[int]] = [set() for _ in range(n)]
        for sample, item in zip(query.samples.tolist(), left.tolist(), strict=True):
            found[item].update(members.get(sample, ()))
        starts = np.concatenate([[0], np.cumsum([len(one) for one in found])]).astype(np.intp)
        return cls(
            starts, np.array([item for one in found for item in sorted(one)], np.intp), (n, m)
        )

    @property
    def judged(self) -> NDArray[np.bool_]:
        """(n,) bool: the queries that have a pair."""
        return np.diff(self.starts) > 0

    def grades(self, queries: NDArray[np.intp]) -> NDArray[np.integer]:
        """Return (b, m) uint8, 0 or 1."""
        grades = np.zeros((len(queries), self.shape[1]), dtype=np.uint8)
        for row, query in enumerate(queries.tolist()):
            grades[row, self.targets[self.starts[query] : self.starts[query + 1]]] = 1
        return grades

    def clusters(self) -> NDArray[np.intp]:
        """Return the cluster of each judged query: those with one first pair belong together."""
        return np.unique(self.targets[self.starts[:-1][self.judged]], return_inverse=True)[1]


def _ranks(
    query: PairItems, gallery: PairItems, relation: _Relation, engine: Engine | None
) -> NDArray[np.float64]:
    """Return (n, 3): start, size and relevant items of the tie group of each first pair."""
    sides = check_embeddings(query.vectors, gallery.vectors)
    first = [np.unique(one.keys, return_index=True)[1] for one in (query, gallery)]
    vectors = [side[rows] for side, rows in zip(sides, first, strict=True)]
    return first_relevant(Ranking(vectors[0], vectors[1], relation, engine=engine))


def _figures(ranks: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return R@K and reciprocal rank of each query, expected over the order of tied items."""
    start, size, _ = ranks.T
    figures = {f"R@{k}": (start < k).astype(np.float64) for k in KS}
    figures["mrr"] = 1 / (start + 1)
    for row in np.flatnonzero(size > 1):
        group = tuple(ranks[row].tolist())
        for k in KS:
            figures[f"R@{k}"][row] = probability_within(k, *group)
        figures["mrr"][row] = _reciprocal_rank(*group)
    return figures


def _reciprocal_rank(start: float, size: float, relevant: float) -> float:
    """Return the expected reciprocal rank of the first of the relevant items of a tie group."""
    total, remaining = 0.0, 1.0  # probability that no relevant item came before
    for place in range(int(size - relevant) + 1):
        hit = relevant / (size - place)
        total += remaining * hit / (start + place + 1)
        remaining *= 1 - hit
    return total


def _intervals(
    figures: Mapping[str, NDArray[np.float64]],
    ranks: NDArray[np.float64],
    clusters: NDArray[np.intp],
    rng: np.random.Generator,
    resamples: int,
) -> dict[str, list[float]]:
    """Return figure -> [low, high]; queries of one cluster are drawn together."""
    count = int(clusters.max()) + 1
    sizes = np.bincount(clusters)
    sums = np.stack([np.bincount(clusters, values) for values in figures.values()], axis=1)
    order = np.argsort(ranks, kind="stable")
    drawn: dict[str, list[NDArray[np.float64]]] = {name: [] for name in (*figures, "median_rank")}
    for size in resample_batches(resamples, max(count, len(ranks))):
        weights = rng.multinomial(count, np.full(count, 1 / count), size)
        means = (weights @ sums) / (weights @ sizes)[:, None]
        for name, column in zip(figures, means.T, strict=True):
            drawn[name].append(column)
        drawn["median_rank"].append(_medians(ranks[order], weights[:, clusters[order]]))
    return {
        name: np.quantile(np.concatenate(values), [0.025, 0.975]).tolist()
        for name, values in drawn.items()
    }


def _medians(ranks: NDArray[np.float64], weights: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the median of ascending values, for each row of whole weights."""
    total = weights.cumsum(axis=1)
    half = total[:, -1:] / 2
    lower = ranks[(total >= half).argmax(axis=1)]
    upper = ranks[(total > half).argmax(axis=1)]
    medians: NDArray[np.float64] = (lower + upper) / 2
    return medians


def _cell(figure: str, figures: Mapping[str, Any]) -> str:
    digits = 1 if figure == "median_rank" else 3
    text = f"{figures[figure]:.{digits}f}"
    if "intervals" in figures:
        low, high = figures["intervals"][figure]
        text += f" ({low:.{digits}f}-{high:.{digits}f})"
    return text
