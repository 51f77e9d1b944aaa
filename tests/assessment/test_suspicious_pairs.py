"""Pairs that were exchanged are found without labels; others are not claimed."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from commonspace.assessment import check_pairs
from commonspace.data import Dataset, Features, Texts
from commonspace.errors import DataError
from commonspace.methods.base.mismatch_share import fit_mismatch_share
from commonspace.methods.base.pair_scores import PairScores, pair_groups, score_pairs


def pairs(n: int = 300, wrong: int = 0, noise: float = 0.3) -> Dataset:
    """Return two views of common causes; the texts of the first rows are exchanged in a circle."""
    draw = np.random.default_rng(0)
    cause = draw.normal(size=(n, 6))
    x = cause @ draw.normal(size=(6, 10)) + noise * draw.normal(size=(n, 10))
    y = cause @ draw.normal(size=(6, 8)) + noise * draw.normal(size=(n, 8))
    y[:wrong] = np.roll(y[:wrong], 1, axis=0)
    ids = [f"item {number}" for number in draw.permutation(n)]
    return replace(Dataset.from_arrays(image=x, text=y), ids=tuple(ids))


@pytest.mark.parametrize("wrong", [15, 60])
def test_exchanged_pairs_are_listed_first_and_counted(wrong: int) -> None:
    check = check_pairs(pairs(wrong=wrong), most=300)
    assert check.pair_noise == pytest.approx(wrong / 300, abs=0.03)
    first = [one.row for one in check.suspicious_pairs[:wrong]]
    assert sum(row < wrong for row in first) >= 0.85 * wrong
    p = [one.p for one in check.suspicious_pairs]
    assert all(value is not None and value > 0.5 for value in p)
    assert p == sorted(p, reverse=True, key=float)  # type: ignore[arg-type]
    assert min(check.suspicious_pairs[0].by_modality.values()) > 0.3
    assert len(check_pairs(pairs(wrong=wrong), most=3).suspicious_pairs) == 3


def test_nothing_is_claimed_of_pairs_that_belong_together() -> None:
    check = check_pairs(pairs())
    assert check.pair_noise is not None
    assert check.pair_noise < 0.01
    assert len(check.suspicious_pairs) <= 3


def test_the_order_of_the_samples_has_no_influence() -> None:
    data = pairs(wrong=15)
    order = np.random.default_rng(1).permutation(300)
    first, second = check_pairs(data), check_pairs(data.take(order))
    assert [one.id for one in first.suspicious_pairs] == [one.id for one in second.suspicious_pairs]
    assert second.pair_noise == pytest.approx(first.pair_noise)
    (before,), (after,) = first.scores.values(), second.scores.values()
    assert after == pytest.approx(before[order])
    assert order[second.suspicious_pairs[0].row] == first.suspicious_pairs[0].row


def test_labels_are_not_used() -> None:
    data = pairs(wrong=15)
    labeled = replace(
        data, labels=np.eye(2, dtype=bool)[np.arange(300) % 2], class_names=("a", "b")
    )
    assert check_pairs(labeled).suspicious_pairs == check_pairs(data).suspicious_pairs


def test_samples_without_a_modality_are_left_out() -> None:
    data = pairs(wrong=15)
    present = np.arange(300) % 3 > 0
    text = data.columns["text"]
    assert isinstance(text, Features)
    partial = replace(data, columns={**data.columns, "text": Features(text.values, present)})
    check, without = check_pairs(partial), check_pairs(data.take(np.flatnonzero(present)))
    (scores,) = check.scores.values()
    assert np.array_equal(np.isnan(scores), ~present)
    assert [one.id for one in check.suspicious_pairs] == [
        one.id for one in without.suspicious_pairs
    ]


def test_of_several_captions_the_wrong_one_is_listed() -> None:
    data = pairs(120)
    image, text = (
        np.repeat(column.values, 2, axis=0)
        for column in data.columns.values()
        if isinstance(column, Features)
    )
    text += 0.1 * np.random.default_rng(3).normal(size=text.shape)
    opposite = int((text @ text[8]).argmin())
    text[[8, opposite]] = text[[opposite, 8]]  # one caption of each of two samples
    samples = [one for one in data.ids for _ in range(2)]
    expanded = replace(Dataset.from_arrays(image=image, text=text), fields={"sample": samples})
    check = check_pairs(expanded, most=2)
    assert {one.row for one in check.suspicious_pairs} == {8, opposite}


def test_of_three_modalities_the_one_that_does_not_fit_is_named() -> None:
    data = pairs(200)
    image = data.columns["image"]
    assert isinstance(image, Features)
    sound = image.values[:, ::-1].copy()
    sound[[3, 9]] = sound[[9, 3]]
    check = check_pairs(replace(data, columns={**data.columns, "sound": Features(sound)}), most=2)
    assert sorted(one.row for one in check.suspicious_pairs) == [3, 9]
    assert all("sound" in one.by_modality for one in check.suspicious_pairs)
    assert len(check.scores) == 3


def test_a_weak_relation_gives_a_list_without_a_share() -> None:
    check = check_pairs(pairs(noise=3), most=300)
    assert check.pair_noise is None
    assert 0 < len(check.suspicious_pairs) <= 30
    assert {one.p for one in check.suspicious_pairs} == {None}
    few = check_pairs(pairs(60, wrong=6), most=300)
    assert few.pair_noise is None
    assert sum(one.row < 6 for one in few.suspicious_pairs) >= 4


def text_raw(data: Dataset) -> Dataset:
    """Return the data with texts instead of their features."""
    return replace(data, columns={**data.columns, "text": Texts((("a",),) * len(data))})


def text_replaced(values: np.ndarray) -> Callable[[Dataset], Dataset]:
    """Return what replaces the features of the texts."""
    return lambda data: replace(
        data, columns={**data.columns, "text": Features(values.astype(np.float32))}
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data.take(np.arange(9)), "too few pairs"),
        (lambda data: replace(data, fields={"sample": np.zeros(300)}), "found:    1\n"),
        (text_raw, "'text' is raw"),
        (lambda data: replace(data, columns={"image": data.columns["image"]}), "one modality"),
        (text_replaced(np.ones((300, 4))), "does not vary"),
        (text_replaced(np.random.default_rng(5).normal(size=(300, 4))), "hardly tell"),
    ],
)
def test_data_that_say_nothing_are_an_error(
    change: Callable[[Dataset], Dataset], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        check_pairs(change(pairs()))


def test_the_share_of_a_known_mixture_is_estimated() -> None:
    draw = np.random.default_rng(0)
    other = draw.normal(size=4000)
    own = np.concatenate([draw.normal(size=400), draw.normal(3.5, 1.2, size=1600)])
    half = np.full(2000, 0.1)
    share, p = fit_mismatch_share(PairScores(own, other, half, half))
    assert share == pytest.approx(0.2, abs=0.02)
    assert p[:400].mean() > 0.8 > 0.1 > p[400:].mean()
    assert (np.diff(p[np.argsort(own)]) <= 0).all()
    weak = PairScores(draw.normal(1, 1, size=2000), other, half, half)
    assert fit_mismatch_share(weak)[0] is None
    clean = PairScores(draw.normal(4, 1, size=2000), other, half, half)
    assert fit_mismatch_share(clean)[0] == pytest.approx(0, abs=0.002)


def test_exchanged_items_rank_as_at_random_and_equal_items_are_not_compared() -> None:
    data = pairs(200, wrong=200, noise=0.1)
    values = [column.values for column in data.columns.values() if isinstance(column, Features)]
    apart = (np.arange(200), np.arange(200))
    scores = score_pairs(values[0], values[1], apart, np.arange(200))
    assert scores.mean_rank == pytest.approx(0.5, abs=0.06)
    assert scores.others.mean() == pytest.approx(0, abs=0.05)
    equal = (np.zeros(200, dtype=np.intp), np.arange(200))
    alone = score_pairs(values[0], values[1], equal, np.arange(200))
    assert (alone.own == 0).all()
    assert alone.mean_rank == 0.5


def test_captions_and_copies_stay_together() -> None:
    samples = np.array([0, 0, 1, 2, 3])
    keys = (np.array([0, 0, 1, 1, 2]), np.array([0, 1, 2, 2, 3]))
    assert pair_groups(samples, keys).tolist() == [0, 0, 1, 1, 2]
