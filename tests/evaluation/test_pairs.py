"""Retrieval of pairs, against plain loops."""

from itertools import permutations

import numpy as np
import pytest

from commonspace.data import Dataset, Features, Texts
from commonspace.data.columns import Column
from commonspace.errors import DataError
from commonspace.evaluation import PairItems, evaluate_pairs, mean_recall


def draw_items(seed: int, *, ties: bool = False) -> dict[str, PairItems]:
    """Draw 30 photos, some of them equal, with up to three captions each, some of them equal."""
    rng = np.random.default_rng(seed)
    samples = np.arange(30)
    photos = rng.integers(0, 25, 30)
    owners = np.repeat(samples, rng.integers(0, 4, 30))
    captions = rng.integers(0, 40, len(owners))
    content = {name: rng.normal(size=(40, 3)) for name in ("image", "text")}
    if ties:
        content = {name: np.round(vectors) for name, vectors in content.items()}
    return {
        "image": PairItems(content["image"][photos], samples, photos),
        "text": PairItems(content["text"][captions], owners, captions),
    }


def count_naively(query: PairItems, gallery: PairItems) -> list[list[float]]:
    """Return the probability of each rank of the first pair, for each distinct query."""
    left, right = np.asarray(query.vectors), np.asarray(gallery.vectors)
    pairs = {
        (int(a), int(b))
        for a, s in zip(query.keys, query.samples, strict=True)
        for b, t in zip(gallery.keys, gallery.samples, strict=True)
        if s == t
    }
    items = {int(key): right[row] for row, key in enumerate(gallery.keys)}
    result = []
    for key in sorted(set(query.keys.tolist())):
        own = [item for item in items if (key, item) in pairs]
        if not own:
            continue
        vector = left[query.keys.tolist().index(key)]
        scores = {item: float(vector @ value) for item, value in items.items()}
        best = max(scores[item] for item in own)
        before = sum(score > best + 1e-9 for score in scores.values())
        tied = [item for item in items if abs(scores[item] - best) <= 1e-9]
        hits = [item in own for item in tied]
        chances = [0.0] * len(items)
        rng = np.random.default_rng(0)
        if len(tied) == 1:
            chances[before] = 1.0
        else:
            for _ in range(4000):
                chances[before + int(np.argmax(rng.permutation(hits)))] += 1 / 4000
        result.append(chances)
    return result


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("ties", [False, True])
def test_figures_equal_those_of_plain_loops(seed: int, ties: bool) -> None:
    items = draw_items(seed, ties=ties)
    report = evaluate_pairs(items, resamples=0)
    tolerance = 0.02 if ties else 1e-12
    recalls = []
    for source, target in permutations(items, 2):
        chances = np.array(count_naively(items[source], items[target]))
        figures = report[f"{source}->{target}"]
        ranks = np.arange(1, chances.shape[1] + 1)
        for k in (1, 5, 10):
            assert figures[f"R@{k}"] == pytest.approx(chances[:, :k].sum(1).mean(), abs=tolerance)
            recalls.append(figures[f"R@{k}"])
        assert figures["mrr"] == pytest.approx((chances / ranks).sum(1).mean(), abs=tolerance)
        expected = np.median(chances @ ranks)
        assert figures["median_rank"] == pytest.approx(expected, abs=0.2 if ties else 1e-12)
        assert (figures["queries"], figures["gallery"]) == chances.shape
    assert report.mean_recall == mean_recall(items) == pytest.approx(np.mean(recalls))


def test_any_caption_of_a_photo_is_right_and_its_photo_for_each_caption() -> None:
    photos = PairItems(np.eye(2), np.arange(2), np.arange(2))
    vectors = np.array([[0.1, 0.9], [1.0, 0.0], [0.0, 1.0]])
    captions = PairItems(vectors, np.array([0, 0, 1]), np.arange(3))
    report = evaluate_pairs({"image": photos, "text": captions}, resamples=0)
    assert report["image->text"]["R@1"] == 1
    assert report["text->image"]["R@1"] == pytest.approx(2 / 3)
    assert (report["image->text"]["queries"], report["text->image"]["queries"]) == (2, 3)


def test_equal_texts_are_one_item() -> None:
    rows = np.arange(3)
    photos = PairItems(np.eye(3), rows, rows)
    texts = PairItems(np.eye(3)[[0, 0, 2]], rows, np.array([0, 0, 1]))
    report = evaluate_pairs({"image": photos, "text": texts}, resamples=0)
    assert report["text->image"]["queries"] == 2
    assert report["text->image"]["R@1"] == 1  # either photo of the text is right
    assert report["image->text"]["gallery"] == 2


def test_the_order_of_samples_has_no_influence() -> None:
    items = draw_items(7, ties=True)
    order = np.random.default_rng(1).permutation(30)
    image = items["image"]
    moved = {
        "image": PairItems(
            np.asarray(image.vectors)[order], image.samples[order], image.keys[order]
        ),
        "text": items["text"],
    }
    assert evaluate_pairs(items, resamples=0) == evaluate_pairs(moved, resamples=0)


def test_intervals_hold_the_figure_and_repeat() -> None:
    items = draw_items(3)
    report = evaluate_pairs(items)
    assert report == evaluate_pairs(items)
    for name, figures in report.items():
        for figure, (low, high) in figures.get("intervals", {}).items():
            assert low <= figures[figure] <= high, (name, figure)
    assert "(" in str(report)


def test_intervals_draw_the_captions_of_a_photo_together() -> None:
    """Five captions of equal vectors give no narrower interval than one."""
    rng = np.random.default_rng(0)
    photos = PairItems(rng.normal(size=(40, 4)), np.arange(40), np.arange(40))
    vectors = np.asarray(photos.vectors) + rng.normal(size=(40, 4))
    single = PairItems(vectors, np.arange(40), np.arange(40))
    five = PairItems(np.repeat(vectors, 5, 0), np.repeat(np.arange(40), 5), np.arange(200))
    one = evaluate_pairs({"image": photos, "text": single})["text->image"]
    many = evaluate_pairs({"image": photos, "text": five})["text->image"]
    assert many["R@1"] == pytest.approx(one["R@1"])
    for figure, bounds in one["intervals"].items():
        assert many["intervals"][figure] == pytest.approx(bounds), figure


def test_without_a_pair_there_is_an_error() -> None:
    photos = PairItems(np.eye(2), np.arange(2), np.arange(2))
    texts = PairItems(np.eye(2), np.arange(2, 4), np.arange(2))
    with pytest.raises(DataError, match="no pairs"):
        evaluate_pairs({"image": photos, "text": texts})


def test_a_report_without_labels_has_the_figures_of_the_pairs() -> None:
    import commonspace as cs

    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4)).astype(np.float32)
    bare = cs.Dataset.from_arrays(image=x, text=x + 0.1)
    space = cs.RawFeatures().fit(bare)
    report = space.evaluate(bare)
    assert not report
    assert report.pairs is not None
    assert report.pairs.mean_recall > 0.9
    assert "R@10" in str(report)
    with pytest.raises(DataError, match="not defined without labels"):
        _ = report.map
    labeled = cs.Dataset.from_arrays(image=x, text=x + 0.1, labels=np.arange(60) % 2)
    both = space.evaluate(labeled, split="all", pairs=True)
    assert both.pairs is not None
    assert both.map > 0
    assert {key: dict(value) for key, value in both.items()} == dict(
        space.evaluate(labeled, split="all")
    )


def test_each_of_several_captions_is_a_query() -> None:
    from commonspace.evaluation.protocol import _parts

    columns: dict[str, Column] = {
        "image": Features(np.eye(4), np.array([True, True, True, False])),
        "text": Texts((("a", "b"), (), ("c",), ("d", "e"))),
    }
    splits = np.array(["test"] * 4)
    data = Dataset("four", tuple("wxyz"), columns, np.zeros((4, 0), bool), (), splits)
    (photos, first), (captions, second) = _parts(data, "text")
    assert photos.tolist() == [0, 1, 2]
    assert first.modalities == ("image",)
    assert captions.tolist() == [0, 0, 2, 3, 3]
    texts = second.columns["text"]
    assert isinstance(texts, Texts)
    assert [one for (one,) in texts.items] == ["a", "b", "c", "d", "e"]
