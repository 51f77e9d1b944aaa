"""Metrics of a report, for every direction of retrieval."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.errors import CommonspaceError, DataError
from commonspace.evaluation import (
    Interval,
    PairRetrieval,
    PrecisionRecall,
    PrecisionScope,
    Ranking,
    average_precision,
    bootstrap_interval,
    chance_level,
    class_confusion,
    mean_by_class,
    mean_over_queries,
    modality_gap,
    ndcg,
    pair_retrieval,
    precision_recall_curve,
    precision_scope_curve,
    r_precision,
)
from commonspace.evaluation.protocol import EmbeddedData

__all__ = ["CONFUSION_DEPTH", "RESULTS", "DirectionMetrics", "measure"]

CONFUSION_DEPTH = 10
"""Number of first results that the class confusion counts."""

RESULTS = 5
"""Number of first results that are shown for a query."""

SCOPES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000)


@dataclass(frozen=True, eq=False)
class DirectionMetrics:
    """The metrics of retrieval from one modality into another."""

    source: str
    target: str
    queries: int = 0
    """Number of labeled queries."""
    gallery: int = 0
    problem: str = ""
    """Why there are no metrics; then the rest is empty."""
    precisions: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    """(n,) the average precision of each query, NaN where it has no label."""
    map: Interval = field(default_factory=lambda: Interval(np.nan, np.nan, np.nan))
    chance: float = np.nan
    r_precision: float = np.nan
    ndcg: float = np.nan
    gap: float | None = None
    pairs: PairRetrieval | None = None
    by_class: dict[int, float] = field(default_factory=dict)
    """Class number -> mAP of its queries."""
    recall: PrecisionRecall | None = None
    scope: PrecisionScope | None = None
    confusion: NDArray[np.float64] | None = None
    results: NDArray[np.intp] = field(default_factory=lambda: np.empty((0, 0), np.intp))
    """(n, up to RESULTS) the first gallery rows of each query; -1 where it has no label."""

    @property
    def name(self) -> str:
        """Such as "image->text"."""
        return f"{self.source}->{self.target}"

    def figures(self) -> dict[str, Any]:
        """Return the single figures as JSON values; None where undefined."""
        if self.problem:
            return {"problem": self.problem, "gallery": self.gallery}
        pairs = self.pairs
        return {
            "map": self.map.mean,
            "map_low": self.map.low,
            "map_high": self.map.high,
            "chance": self.chance,
            "r_precision": self.r_precision,
            "ndcg": self.ndcg,
            **{f"recall@{k}": pairs.recall[k] if pairs else None for k in (1, 5, 10)},
            "median_rank": pairs.median_rank if pairs else None,
            "modality_gap": self.gap,
            "queries": self.queries,
            "gallery": self.gallery,
            "unlabeled": int(np.isnan(self.precisions).sum()),
            "paired_queries": pairs.queries if pairs else 0,
        }


def measure(embedded: EmbeddedData, seed: int = 0) -> Iterator[DirectionMetrics]:
    """Yield the metrics of every direction.

    Args:
        embedded: query and gallery embeddings.
        seed: of the bootstrap.

    Yields:
        One for each direction; one without labeled queries or gallery has a ``problem``.
    """
    for source, target in permutations(embedded.vectors, 2):
        sizes = {name: len(embedded.vectors[name]) for name in (source, target)}
        missing = [name for name, size in sizes.items() if not size]
        if missing:
            problem = f"no sample has {' or '.join(missing)}"
            yield DirectionMetrics(source, target, gallery=sizes[target], problem=problem)
            continue
        try:
            yield _direction(embedded, source, target, np.random.default_rng(seed))
        except DataError as error:
            problem = error.problem + (f" ({error.found})" if error.found else "")
            yield DirectionMetrics(source, target, gallery=sizes[target], problem=problem)


def _direction(
    embedded: EmbeddedData, source: str, target: str, rng: np.random.Generator
) -> DirectionMetrics:
    sides = embedded.vectors[source], embedded.vectors[target]
    labels = embedded.labels[source], embedded.labels[target]
    precisions = average_precision(*sides, *labels)
    m = len(sides[1])
    return DirectionMetrics(
        source,
        target,
        queries=int((~np.isnan(precisions)).sum()),
        gallery=m,
        precisions=precisions,
        map=bootstrap_interval(precisions, rng),
        chance=chance_level(*labels),
        r_precision=mean_over_queries(r_precision(*sides, *labels)),
        ndcg=mean_over_queries(ndcg(*sides, *labels)),
        gap=_or_none(modality_gap, *sides),
        pairs=_or_none(pair_retrieval, *sides, *(_ids(embedded, one) for one in (source, target))),
        by_class={
            int(number): mean for number, mean in mean_by_class(precisions, labels[0]).items()
        },
        recall=precision_recall_curve(*sides, *labels, points=21),
        scope=precision_scope_curve(*sides, *labels, [*(k for k in SCOPES if k < m), m]),
        confusion=class_confusion(*sides, *labels, CONFUSION_DEPTH),
        results=_first_results(*sides, *labels),
    )


def _ids(embedded: EmbeddedData, modality: str) -> NDArray[np.str_]:
    """Return the pair key of each item: the id of its sample."""
    whole = embedded.data.fields.get("sample", embedded.data.ids)
    several = "multi_caption" in embedded.data.provenance
    keys = np.array(whole if several else embedded.data.ids)
    return np.asarray(keys[embedded.rows[modality]])


def _first_results(
    query: NDArray[np.float32],
    gallery: NDArray[np.float32],
    query_labels: NDArray[np.bool_],
    gallery_labels: NDArray[np.bool_],
) -> NDArray[np.intp]:
    ranking = Ranking.by_class(query, gallery, query_labels, gallery_labels)
    depth = min(RESULTS, len(gallery))
    rows = np.full((len(query), depth), -1, dtype=np.intp)
    for queries, items in ranking.measure(lambda block: (block.queries, block.items), depth):
        rows[queries] = items
    return rows


def _or_none(figure: Any, *arrays: Any) -> Any:  # noqa: ANN401 - a figure of evaluation
    """Return a metric, or None where it is undefined for these samples."""
    try:
        return figure(*arrays)
    except CommonspaceError:
        return None
