"""Evaluation report: the mAP of every modality against every other, from arrays."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import permutations
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.engines import Engine
from commonspace.errors import DataError, invalid_setting
from commonspace.evaluation.arrays import check_depth
from commonspace.evaluation.average_precision import (
    Denominator,
    block_average_precision,
    check_denominator,
)
from commonspace.evaluation.oracle import OracleAnalysis
from commonspace.evaluation.pairs import PairReport
from commonspace.evaluation.ranked_block import RelevanceBlock
from commonspace.evaluation.ranking import Ranking
from commonspace.tables import Table, to_frame

__all__ = ["EvaluationReport", "Figures", "evaluate_retrieval"]

Figures: TypeAlias = dict[str, Any]
"""The figures of one direction of retrieval, by name."""

AVERAGE = "average"


class EvaluationReport(dict[str, Figures]):
    """Figures of each direction of retrieval: a dictionary that prints as a table.

    For every ordered pair, such as "image->text", it holds

    - "map": over the whole ranking, and "map@50" for each cut-off;
    - "chance": the share of relevant items in the gallery, about the mAP of a random order;
    - "queries": number of labeled queries, "gallery": number of items they are ranked over;
    - "unlabeled": queries without a label, which are left out;
    - "unanswerable": queries without a relevant item in the gallery, which count as 0;
    - "denominator": that of "map@50";
    - where queries were sampled: "low" and "high", the 95 % interval of "map" over all labeled
      queries, and "of": how many those are;

    and under "average" the means of "map", "map@50" and "chance" over the pairs. ``json.dumps``
    accepts it. Where the samples have no labels it is empty, and ``pairs`` has the figures.

    Example:
        >>> space = {"image": [[1.0, 0.0], [0.0, 1.0]], "text": [[0.9, 0.1], [0.2, 0.8]]}
        >>> classes = {"image": ["cat", "dog"], "text": ["cat", "dog"]}
        >>> print(evaluate_retrieval(space, classes))
        evaluation
        direction      mAP  chance  queries  gallery
        -----------  -----  ------  -------  -------
        image->text  1.000   0.500        2        2
        text->image  1.000   0.500        2        2
        average      1.000   0.500
    """

    title: str = "evaluation"
    """What was evaluated."""
    warnings: tuple[str, ...] = ()
    """What limits the meaning of the figures."""
    oracle: OracleAnalysis | None = None
    """Class accuracy, and mAP with the classes of one modality known; if it was measured."""
    pairs: PairReport | None = None
    """Recall@K, median rank and mean reciprocal rank of the pairs; if they were measured."""

    @property
    def map(self) -> float:
        """Average mAP over the directions, in [0, 1].

        Raises:
            DataError: the samples have no labels.
        """
        if not self:
            raise DataError(
                "the mAP by class is not defined without labels",
                expected="labeled samples",
                found="samples without a label",
                advice="use report.pairs, such as report.pairs.mean_recall",
            )
        return float(self[AVERAGE]["map"])

    @property
    def directions(self) -> tuple[str, ...]:
        """The directions, such as "image->text"."""
        return tuple(name for name in self if name != AVERAGE)

    def to_frame(self) -> Any:  # noqa: ANN401 - pandas is optional
        """Return a pandas ``DataFrame``: a row for each direction and the average.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        if not self and self.pairs is not None:
            return self.pairs.to_frame()
        rows = [{"direction": name, **figures} for name, figures in self.items()]
        return to_frame(rows, index="direction")

    def to_table(self) -> Table:
        """Return the figures as a formatted table: by class, or of pairs if there are no labels."""
        if not self and self.pairs is not None:
            return self.pairs.to_table(self.title)
        figures = [name for name in self[AVERAGE] if name != "chance"]
        counts = ("queries", "gallery")
        known = self._known()
        sampled = any("low" in values for values in self.values())
        rows = [
            [
                direction,
                *(f"{values[name]:.3f}" for name in figures),
                *([_interval_text(values)] if sampled else []),
                *(f"{value:.3f}" for value in known.get(direction, {}).values()),
                f"{values['chance']:.3f}",
                *(str(values.get(count, "")) for count in counts),
            ]
            for direction, values in self.items()
        ]
        names = [name.replace("map", "mAP") for name in figures]
        names += ["95 % of mAP"] if sampled else []
        names += [f"{name} known" for name in known.get(AVERAGE, {})]
        notes = [*self.oracle_notes(), *(f"warning: {text}" for text in self.warnings)]
        return Table(self.title, ["direction", *names, "chance", *counts], rows, notes)

    def oracle_notes(self) -> list[str]:
        """Return the lines that explain the oracle analysis; empty without one."""
        if self.oracle is None:
            return []
        by = "by the model" if self.oracle.source == "model" else "by a linear probe"
        accuracy = ", ".join(f"{name} {value:.3f}" for name, value in self.oracle.accuracy.items())
        lines = [f"class accuracy {by}: {accuracy}"]
        if len(self.oracle.accuracy) == 2:
            lines.append("known: mAP if the classes of this modality were known perfectly")
        return lines

    def _known(self) -> dict[str, dict[str, float]]:
        """Return direction -> modality -> mAP if its classes were known; for two modalities."""
        if self.oracle is None or len(self.oracle.accuracy) != 2:
            return {}
        names = list(self.oracle.accuracy)
        known = {
            direction: {name: values[name] for name in names}
            for direction, values in self.oracle.known.items()
        }
        known[AVERAGE] = {
            name: math.fsum(values[name] for values in known.values()) / len(known)
            for name in names
        }
        return known

    def __repr__(self) -> str:
        """Return the table, and that of the pairs."""
        return "\n\n".join(str(table) for table in self._tables())

    def _repr_html_(self) -> str:
        """Return the table for a notebook, and that of the pairs."""
        return "".join(table.to_html() for table in self._tables())

    def _tables(self) -> list[Table]:
        both = bool(self) and self.pairs is not None
        return [self.to_table(), *([self.pairs.to_table()] if both and self.pairs else [])]


def evaluate_retrieval(
    embeddings: Mapping[str, ArrayLike],
    labels: Mapping[str, ArrayLike],
    k: int | Sequence[int] | None = None,
    *,
    denominator: Denominator = "found",
    queries: int | None = None,
    engine: Engine | None = None,
) -> EvaluationReport:
    """Measure retrieval from every modality into every other.

    Args:
        embeddings: modality -> (n, d) embeddings, arrays or tensors; n may differ, d may not.
        labels: modality -> (n,) ints or strings, or (n, c) bool, as in `mean_average_precision`.
        k: additional cut-offs, one or several; None or 0 for none.
        denominator: of AP@k, see `mean_average_precision`.
        queries: rank only so many labeled queries of each direction, drawn without replacement by
            a fixed seed, over the whole gallery; None: all.
        engine: runs shards of the queries; None: threads of this process. The figures are equal.

    Raises:
        DataError: fewer than two modalities, labels of one are missing, or the arrays of a pair are
            invalid as described in `mean_average_precision`; the message names the pair.
        SettingError: ``k``, ``denominator`` or ``queries`` is invalid.

    Example:
        >>> space = {"image": [[1.0, 0.0], [0.0, 1.0]], "text": [[0.9, 0.1], [0.2, 0.8]]}
        >>> classes = {"image": ["cat", "dog"], "text": ["cat", "dog"]}
        >>> report = evaluate_retrieval(space, classes)
        >>> report["image->text"]["map"], report.map
        (1.0, 1.0)
    """
    check_denominator(denominator)
    cutoffs = [depth for depth in (k if isinstance(k, Iterable) else [k]) if depth]
    for depth in cutoffs:
        check_depth(depth, gallery=1)
    if queries is not None and queries < 2:
        raise invalid_setting("queries", queries, ">= 2")
    if len(embeddings) < 2 or set(embeddings) - set(labels):
        raise DataError(
            "retrieval between modalities needs two modalities with labels",
            expected="embeddings and labels of at least two modalities",
            found=f"embeddings of {', '.join(embeddings) or 'none'};"
            f" labels of {', '.join(labels) or 'none'}",
            advice="embed each modality of the data set and pass its labels under the same name",
        )
    report = EvaluationReport()
    for source, target in permutations(embeddings, 2):
        name = f"{source}->{target}"
        try:
            ranking = Ranking.by_class(
                embeddings[source], embeddings[target], labels[source], labels[target]
            )
            ranking = replace(ranking, engine=engine)
            judged = np.flatnonzero(ranking.relevance.judged)
            if queries is None or len(judged) <= queries:
                report[name] = _evaluate_direction(ranking, cutoffs, denominator)
            else:
                some = np.sort(np.random.default_rng(0).choice(judged, queries, replace=False))
                ranking = Ranking.by_class(
                    ranking.query[some],
                    ranking.gallery,
                    np.asarray(labels[source])[some],
                    labels[target],
                )
                ranking = replace(ranking, engine=engine)
                report[name] = _evaluate_direction(ranking, cutoffs, denominator, len(judged))
        except DataError as exc:
            raise DataError(
                f"{name}: {exc.problem}", expected=exc.expected, found=exc.found, advice=exc.advice
            ) from exc
    trivial = [name for name, figures in report.items() if figures["chance"] == 1]
    if trivial:
        report.warnings = (
            f"{' and '.join(trivial)}: every item of the gallery is relevant to every query"
            " (a single class?), so that the mAP is 1 whatever the model does",
        )
    report[AVERAGE] = {
        figure: math.fsum(float(report[pair][figure]) for pair in report) / len(report)
        for figure in ("map", *(f"map@{depth}" for depth in cutoffs), "chance")
    }
    return report


def _evaluate_direction(
    ranking: Ranking,
    cutoffs: Sequence[int],
    denominator: Denominator,
    labeled: int | None = None,
) -> Figures:
    """Return the figures; with the interval if the queries are a sample of so many labeled ones."""
    m = len(ranking.gallery)
    depths = {"map": m} | {f"map@{depth}": check_depth(depth, m) for depth in cutoffs}
    figure = partial(_block_values, depths=[*depths.values()], denominator=denominator)
    blocks = ranking.measure_relevance(figure)
    values = np.concatenate([values for values, _ in blocks], axis=1)
    available = np.concatenate([counts for _, counts in blocks])
    queries = values.shape[1]
    figures: Figures = {
        name: math.fsum(row) / queries for name, row in zip(depths, values, strict=True)
    }
    if labeled is not None:
        low, high = _sampling_interval(values[0], labeled)
        figures |= {"low": low, "high": high, "of": labeled}
    return figures | {
        "chance": float(available.sum() / (queries * m)),
        "queries": queries,
        "gallery": m,
        "unlabeled": len(ranking.query) - queries,
        "unanswerable": int(np.count_nonzero(available == 0)),
        "denominator": denominator,
    }


def _block_values(
    block: RelevanceBlock, depths: Sequence[int], denominator: Denominator
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return (k, b) AP at each depth, and the (b,) numbers of relevant items."""
    values = [block_average_precision(block, depth, denominator) for depth in depths]
    return np.stack(values), block.available


def _sampling_interval(values: NDArray[np.float64], n: int) -> tuple[float, float]:
    """Return the 95 % interval of the mean of n values, of which some were drawn.

    The standard error of a sample without replacement is s / sqrt(q) sqrt(1 - q / n) (Cochran:
    Sampling Techniques, 3rd edition, 1977, chapter 2).
    """
    q = len(values)
    half = 1.96 * float(np.std(values, ddof=1)) * math.sqrt((1 - q / n) / q)
    mean = math.fsum(values) / q
    return max(0.0, mean - half), min(1.0, mean + half)


def _interval_text(figures: Figures) -> str:
    return f"{figures['low']:.3f} to {figures['high']:.3f}" if "low" in figures else ""
