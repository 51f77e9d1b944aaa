"""The mAP of every modality against every other, as a plain dictionary that JSON can hold.

It knows modalities by name only, and nothing of models, files or tables.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import permutations
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from commonspace.errors import DataError
from commonspace.evaluation.arrays import check_depth
from commonspace.evaluation.average_precision import (
    Denominator,
    block_average_precision,
    check_denominator,
)
from commonspace.evaluation.ranking import Ranking

__all__ = ["Figures", "evaluate_retrieval"]

Figures: TypeAlias = dict[str, float | int | str]
"""The figures of one direction of retrieval, by name."""


def evaluate_retrieval(
    embeddings: Mapping[str, ArrayLike],
    labels: Mapping[str, ArrayLike],
    k: int | Sequence[int] | None = None,
    *,
    denominator: Denominator = "found",
) -> dict[str, Figures]:
    """Measure retrieval from every modality into every other.

    Args:
        embeddings: modality -> (n, d) embeddings, arrays or tensors; n may differ, d may not.
        labels: modality -> (n,) ints or strings, or (n, c) bool, as in `mean_average_precision`.
        k: further depths, one or several, at which mAP is wanted beside that of the whole
            ranking; None or 0 asks for nothing further.
        denominator: of AP@k, see `mean_average_precision`.

    Returns:
        For every ordered pair such as "image->text" the figures

        - "map": over the whole ranking, and "map@50" for each further k asked for;
        - "queries": how many queries were judged, "gallery": how many items they were ranked over;
        - "unlabelled": queries left out because they have no label;
        - "unanswerable": judged queries without a relevant item in the gallery, which count as 0;
        - "denominator": the one that "map@50" uses;

        and under "average" the means of "map" and "map@50" over the ordered pairs.

    Raises:
        DataError: fewer than two modalities, labels of one are missing, or what
            `mean_average_precision` refuses, with the name of the pair.
        SettingError: a k or the denominator cannot be used.

    Example:
        >>> space = {"image": [[1.0, 0.0], [0.0, 1.0]], "text": [[0.9, 0.1], [0.2, 0.8]]}
        >>> classes = {"image": ["cat", "dog"], "text": ["cat", "dog"]}
        >>> figures = evaluate_retrieval(space, classes)
        >>> figures["image->text"]["map"], figures["average"]
        (1.0, {'map': 1.0})
    """
    check_denominator(denominator)
    further = [depth for depth in (k if isinstance(k, Iterable) else [k]) if depth]
    for depth in further:
        check_depth(depth, gallery=1)
    if len(embeddings) < 2 or set(embeddings) - set(labels):
        raise DataError(
            "retrieval between modalities cannot be measured",
            expected="embeddings and labels of at least two modalities",
            found=f"embeddings of {', '.join(embeddings) or 'none'};"
            f" labels of {', '.join(labels) or 'none'}",
            advice="embed each modality of the data set and pass its labels under the same name",
        )
    report: dict[str, Figures] = {}
    for source, target in permutations(embeddings, 2):
        name = f"{source}->{target}"
        try:
            ranking = Ranking.by_class(
                embeddings[source], embeddings[target], labels[source], labels[target]
            )
            report[name] = _direction(ranking, further, denominator)
        except DataError as exc:
            raise DataError(
                f"{name}: {exc.problem}", expected=exc.expected, found=exc.found, advice=exc.advice
            ) from exc
    report["average"] = {
        figure: math.fsum(float(report[pair][figure]) for pair in report) / len(report)
        for figure in ("map", *(f"map@{depth}" for depth in further))
    }
    return report


def _direction(ranking: Ranking, further: Sequence[int], denominator: Denominator) -> Figures:
    m = len(ranking.gallery)
    depths = {"map": m} | {f"map@{depth}": check_depth(depth, m) for depth in further}
    blocks = ranking.measure(
        lambda block: (
            np.stack([block_average_precision(block, d, denominator) for d in depths.values()]),
            np.count_nonzero(block.available == 0),
        ),
        depth=m,
    )
    values = np.concatenate([values for values, _ in blocks], axis=1)
    queries = values.shape[1]
    figures: Figures = {
        name: math.fsum(row) / queries for name, row in zip(depths, values, strict=True)
    }
    return figures | {
        "queries": queries,
        "gallery": m,
        "unlabelled": len(ranking.query) - queries,
        "unanswerable": sum(int(count) for _, count in blocks),
        "denominator": denominator,
    }
