"""Values of single queries, and of a random order, against the report and plain draws."""

import numpy as np
import pytest
from numpy.typing import NDArray

from commonspace.evaluation import PairItems, evaluate_pairs, rank_pairs
from commonspace.evaluation.ranked_pairs import _medians


def draw_items(seed: int) -> tuple[PairItems, PairItems]:
    """Draw 20 photos, some of them equal, with one or two captions each, some of them equal."""
    rng = np.random.default_rng(seed)
    photos, owners = rng.integers(0, 16, 20), np.repeat(np.arange(20), rng.integers(1, 3, 20))
    captions = rng.integers(0, 24, len(owners))
    x, y = rng.normal(size=(16, 3)), rng.normal(size=(24, 3))
    return PairItems(x[photos], np.arange(20), photos), PairItems(y[captions], owners, captions)


@pytest.mark.parametrize("k", [1, 5, 10])
def test_the_values_of_the_queries_have_the_mean_of_the_report(k: int) -> None:
    photos, captions = draw_items(0)
    report = evaluate_pairs({"image": photos, "text": captions}, resamples=0)
    for direction, sides in (
        ("image->text", (photos, captions)),
        ("text->image", (captions, photos)),
    ):
        values = rank_pairs(*sides).recall(k)
        assert values.shape == (len(sides[0].samples),)
        assert np.nanmean(values) == pytest.approx(report[direction][f"R@{k}"])
        assert np.isfinite(values).sum() == report[direction]["queries"]


def test_a_repeated_query_counts_once_and_one_without_a_pair_not() -> None:
    photos = PairItems(np.eye(3)[[0, 0, 1, 2]], np.arange(4), np.array([0, 0, 1, 2]))
    texts = PairItems(np.eye(3), np.arange(3), np.arange(3))
    values = rank_pairs(photos, texts).recall(1)
    assert np.isnan(values).tolist() == [False, True, False, True]


def test_a_random_order_has_the_figures_of_many_drawn_ones() -> None:
    photos, captions = draw_items(1)
    figures = rank_pairs(photos, captions).in_random_order().figures(resamples=0)
    rng = np.random.default_rng(2)
    drawn = []
    for _ in range(400):
        random = PairItems(rng.normal(size=(24, 5))[captions.keys], captions.samples, captions.keys)
        query = PairItems(rng.normal(size=(16, 5))[photos.keys], photos.samples, photos.keys)
        drawn.append(rank_pairs(query, random).figures(resamples=0))
    for name in ("R@1", "R@5", "R@10", "mrr"):
        assert figures[name] == pytest.approx(np.mean([one[name] for one in drawn]), abs=0.02)


def test_without_a_pair_there_are_no_queries() -> None:
    photos = PairItems(np.eye(2), np.arange(2), np.arange(2))
    texts = PairItems(np.eye(2), np.arange(2, 4), np.arange(2))
    ranked = rank_pairs(photos, texts)
    assert ranked.queries == 0
    assert np.isnan(ranked.recall(10)).all()


def test_weighted_medians() -> None:
    rng = np.random.default_rng(0)
    ranks = np.sort(rng.integers(1, 9, 12)).astype(float)
    weights: NDArray[np.int64] = rng.integers(0, 3, (50, 12))
    expected = [np.median(np.repeat(ranks, row)) for row in weights]
    assert _medians(ranks, weights).tolist() == expected
