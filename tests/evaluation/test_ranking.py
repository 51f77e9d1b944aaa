"""Ranking does not depend on the size of its blocks."""

import numpy as np

from commonspace.evaluation import (
    Ranking,
)
from tests.evaluation.oracle import (
    draw,
)


def test_every_figure_comes_out_the_same_in_many_small_blocks() -> None:
    """A block of the size of one tile, ranked row by row, against the whole at once."""
    query, gallery, left, right = draw(2, 90, 70, ties=True)
    whole = Ranking.by_class(query, gallery, left, right, graded=True)
    parts = Ranking(query, gallery, whole.relevance, block=1, workers=3)
    for depth in (5, 70):
        for field in ("grades", "items", "available", "queries"):
            one, many = (
                np.concatenate(ranking.measure(lambda block: getattr(block, field), depth))  # noqa: B023
                for ranking in (whole, parts)
            )
            np.testing.assert_array_equal(one, many)
