"""Retrieval of pairs: Recall@K, median rank and mean reciprocal rank, without labels.

Items of equal content are one item, and two items are a pair if they belong to one sample. So any
of several captions of a photo is right for the photo, and the photo is right for each of them, as
is usual for Flickr30K and MS-COCO (Karpathy and Fei-Fei: Deep Visual-Semantic Alignments for
Generating Image Descriptions, CVPR 2015).
"""

import math
from collections.abc import Mapping
from itertools import permutations
from typing import Any

from commonspace.engines import Engine
from commonspace.errors import DataError
from commonspace.evaluation.ranked_pairs import KS, PairItems, rank_pairs
from commonspace.tables import Table, to_frame

__all__ = ["PairReport", "evaluate_pairs", "mean_recall"]

AVERAGE = "average"


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
        >>> import numpy as np
        >>> rows = np.arange(2)
        >>> image = PairItems([[1.0, 0.0], [0.0, 1.0]], rows, rows)
        >>> text = PairItems([[0.9, 0.1], [0.8, 0.2]], rows, rows)
        >>> report = evaluate_pairs({"image": image, "text": text})
        >>> report["image->text"]["R@1"], report["text->image"]["R@1"], report["average"]["mrr"]
        (1.0, 0.5, 0.875)
    """
    report = PairReport()
    for source, target in permutations(items, 2):
        ranked = rank_pairs(items[source], items[target], engine)
        if ranked.queries:
            report[f"{source}->{target}"] = ranked.figures(resamples=resamples, seed=seed)
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


def _cell(figure: str, figures: Mapping[str, Any]) -> str:
    digits = 1 if figure == "median_rank" else 3
    text = f"{figures[figure]:.{digits}f}"
    if "intervals" in figures:
        low, high = figures["intervals"][figure]
        text += f" ({low:.{digits}f}-{high:.{digits}f})"
    return text
