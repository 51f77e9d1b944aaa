"""Relevance by products in float32 equals that of the plain ranking in float64, bit by bit."""

import numpy as np
import pytest
from numpy.typing import NDArray

from commonspace.evaluation import Ranking, average_precision
from commonspace.evaluation.average_precision import block_average_precision
from commonspace.evaluation.ranked_block import RelevanceBlock
from commonspace.evaluation.screening import Screen, ScreenedBlock, is_worthwhile
from tests.evaluation.oracle import expected_average_precision

N, M, D = 60, 700, 256


def drawn(kind: str) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return query and gallery of a kind."""
    rng = np.random.default_rng(3)
    query, gallery = (rng.standard_normal((rows, D)) for rows in (N, M))
    match kind:
        case "float32":
            return query.astype(np.float32), gallery.astype(np.float32)
        case "near ties":  # differences from far below to far above the rounding of float32
            gallery[1::2] = gallery[::2]
            gallery[1::2, 0] += 10.0 ** rng.uniform(-12, -3, M // 2)
        case "near":  # within the rounding of float32, but no ties
            gallery[1::2] = gallery[::2]
            gallery[1::2, 0] += 1e-7
        case "ties of some":
            gallery[:40] = gallery[40:80]
        case "whole numbers":
            query, gallery = np.sign(query), np.sign(gallery)
        case "posteriors":
            query, gallery = np.exp(4 * query), np.exp(4 * gallery)
            query /= query.sum(axis=1, keepdims=True)
            gallery /= gallery.sum(axis=1, keepdims=True)
        case "equal":
            gallery[:] = gallery[0]
        case "sizes":
            query *= 10.0 ** rng.uniform(-150, 150, (N, 1))
            gallery *= 10.0 ** rng.uniform(-3, 3, (M, 1))
        case "zeros":
            query[::7], gallery[::5] = 0, 0
        case "itself":
            query = gallery[:N].copy()
    return query, gallery


KINDS = (
    "float32",
    "float64",
    "near ties",
    "ties of some",
    "whole numbers",
    "posteriors",
    "equal",
    "sizes",
    "zeros",
    "itself",
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("several", [False, True])
def test_it_equals_the_plain_ranking(kind: str, several: bool) -> None:
    query, gallery = drawn(kind)
    rng = np.random.default_rng(0)
    labels = (
        (rng.random((N, 6)) < 0.3, rng.random((M, 6)) < 0.3)
        if several
        else (rng.integers(-1, 5, N), rng.integers(-1, 5, M))
    )
    whole = Ranking.by_class(query, gallery, *labels)
    assert is_worthwhile(whole.query, whole.gallery, whole.relevance)
    for ranking in (whole, Ranking(query, gallery, whole.relevance, block=20 * M, workers=2)):
        for depth in (5, M):

            def figure(block: RelevanceBlock, depth: int = depth) -> NDArray[np.float64]:
                return block_average_precision(block, depth, "found")

            np.testing.assert_array_equal(
                ranking.per_query_relevance(figure), ranking.per_query(figure, M)
            )


@pytest.mark.parametrize("kind", ["near", "ties of some"])
def test_it_equals_the_walk_down_the_ranks(kind: str) -> None:
    query, gallery = drawn(kind)
    query = query[:10]
    labels = np.arange(10) % 3, np.random.default_rng(1).integers(0, 3, M)
    scores = [[float(q @ g) for g in gallery] for q in query]
    expected = [
        expected_average_precision(row, (labels[1] == label).tolist())
        for row, label in zip(scores, labels[0], strict=True)
    ]
    np.testing.assert_allclose(average_precision(query, gallery, *labels), expected, rtol=1e-12)


def test_most_rows_are_settled_without_a_second_product(monkeypatch: pytest.MonkeyPatch) -> None:
    query, gallery = drawn("float32")
    ranking = Ranking.by_class(query, gallery, np.arange(N) % 5, np.arange(M) % 5)
    blocks = ranking.measure_relevance(lambda block: block)
    assert all(isinstance(block, ScreenedBlock) for block in blocks)
    # Where rounding turns out larger than assumed, the plain ranking is used.
    plain = Screen.products
    monkeypatch.setattr(
        Screen, "products", lambda *all_: (plain(*all_)[0] + 2**12, plain(*all_)[1])
    )
    again = ranking.measure_relevance(lambda block: block)
    assert any(not isinstance(block, ScreenedBlock) for block in again if len(block.queries))


def test_where_it_is_not_used() -> None:
    query, gallery = drawn("float64")
    labels = np.arange(N) % 5, np.arange(M) % 5
    for some, other, graded in (
        (query[:, :64], gallery[:, :64], False),
        (query, gallery[:100], False),
        (query, gallery, True),
    ):
        marks = (
            (np.ones((N, 2)), np.ones((len(other), 2)))
            if graded
            else (labels[0], labels[1][: len(other)])
        )
        ranking = Ranking.by_class(some, other, *marks, graded=graded)
        assert not is_worthwhile(ranking.query, ranking.gallery, ranking.relevance)
