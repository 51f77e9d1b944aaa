"""Figures of pairs on a split against those of ``evaluate``, and of plain loops."""

import numpy as np
import pytest

import commonspace as cs
from commonspace.assessment.bm25 import BM25
from commonspace.assessment.pair_figures import PairSplit
from commonspace.data import Dataset, Features, Texts
from commonspace.methods import RawFeatures

DIRECTIONS = ("image->text", "text->image")


def drawn(n: int = 60, noise: float = 0.6) -> Dataset:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(n, 4))
    return Dataset.from_arrays(image=x, text=x + noise * draw.normal(size=(n, 4)))


def of_captions() -> Dataset:
    """Eight photos with two captions each, a row for each caption."""
    draw = np.random.default_rng(1)
    x = np.repeat(draw.normal(size=(8, 3)), 2, axis=0)
    return Dataset(
        name="captions",
        ids=tuple(f"{n // 2}#{n % 2 + 1}" for n in range(16)),
        columns={"image": Features(x), "text": Features(x + draw.normal(size=(16, 3)))},
        labels=np.zeros((16, 0), dtype=bool),
        class_names=(),
        splits=np.full(16, "test"),
        fields={"sample": [str(n // 2) for n in range(16)]},
    )


def test_a_space_has_the_figures_of_evaluate() -> None:
    data = drawn()
    space = RawFeatures().fit(data, run=cs.RunConfig())
    part = data.split("test")
    measured = PairSplit(part).measure_space(space, part)
    report = space.evaluate(data, split="test").pairs
    assert report is not None
    for direction in DIRECTIONS:
        assert dict(measured.directions[direction]) == report[direction]
    assert measured.recall == pytest.approx(report["average"]["R@10"])
    assert measured.values.shape == (len(part),)
    assert measured.bytes == 16


def test_captions_of_a_photo_are_one_sample_and_any_of_them_is_right() -> None:
    data = of_captions()
    rows = np.arange(16)
    vectors = {}
    for name, column in data.columns.items():
        assert isinstance(column, Features)
        vectors[name] = (column.values, rows)
    measured = PairSplit(data).measure_vectors(vectors, 12)
    assert [measured.directions[one]["queries"] for one in DIRECTIONS] == [8, 16]
    assert measured.values.shape == (8,)
    means = [measured.directions[one]["R@10"] for one in DIRECTIONS]
    assert measured.recall == pytest.approx(np.mean(means))


def test_chance_is_k_of_the_gallery() -> None:
    measured = PairSplit(drawn(50)).measure_chance()
    for direction in DIRECTIONS:
        assert measured.directions[direction]["R@1"] == pytest.approx(1 / 50)
        assert measured.directions[direction]["R@10"] == pytest.approx(10 / 50)
        assert measured.directions[direction]["median_rank"] == pytest.approx(25.5)


def test_a_sample_without_a_pair_has_no_value() -> None:
    data = drawn(20)
    column = data.columns["text"]
    assert isinstance(column, Features)
    present = np.arange(20) != 3
    columns = {"image": data.columns["image"], "text": Features(column.values, present)}
    split = PairSplit(Dataset(**{**vars(data), "columns": columns}))
    assert np.flatnonzero(np.isnan(split.measure_chance().values)).size == 1


def test_keywords_rank_the_texts_of_the_other_side() -> None:
    titles, texts = ["red kite", "blue boat", "sea"], ["a boat", "one kite in red", "the red sea"]
    data = Dataset.from_arrays(title=np.eye(3), text=np.eye(3))
    columns = {
        "title": Texts(tuple((one,) for one in titles)),
        "text": Texts(tuple((one,) for one in texts)),
    }
    measured = PairSplit(data).measure_keywords(columns)
    for source, target, direction in (
        (titles, texts, "title->text"),
        (texts, titles, "text->title"),
    ):
        scores = BM25(target).scores(source)
        ranks = [
            1 + (row > row[n]).sum() + ((row == row[n]).sum() - 1) / 2
            for n, row in enumerate(scores)
        ]
        assert measured.directions[direction]["median_rank"] == pytest.approx(np.median(ranks))
    assert measured.bytes == int(np.mean([len(one) for one in titles + texts]))
