"""Splits: nothing lost, groups whole, classes everywhere, the same for the same seed."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from commonspace.data.splits import carve_validation, draw_splits, group_numbers
from commonspace.data.vocabulary import SPLITS, split_name
from commonspace.errors import SettingError


def one_hot(classes: list[int], count: int) -> NDArray[np.bool_]:
    labels = np.zeros((len(classes), count), dtype=bool)
    for row, label in enumerate(classes):
        if label >= 0:
            labels[row, label] = True
    return labels


@st.composite
def labeled_groups(draw: st.DrawFn) -> tuple[NDArray[np.bool_], list[int | None], int]:
    """Up to 60 samples of up to 5 classes, several labels or none each, some in groups."""
    count = draw(st.integers(1, 60))
    classes = draw(st.integers(1, 5))
    marks = st.lists(st.booleans(), min_size=classes, max_size=classes)
    labels = np.array([draw(marks) for _ in range(count)], dtype=bool)
    group = st.one_of(st.none(), st.integers(0, 12))
    return labels, [draw(group) for _ in range(count)], draw(st.integers(0, 5))


@given(labeled_groups())
@settings(deadline=None, max_examples=150)
def test_groups_stay_whole_train_has_every_class_and_seeds_repeat(
    drawn: tuple[NDArray[np.bool_], list[int | None], int],
) -> None:
    labels, groups, seed = drawn
    split = draw_splits(labels, groups, seed=seed)
    assert split.shape == (len(labels),)
    assert set(split.tolist()) <= set(SPLITS)
    for group in set(groups) - {None}:
        assert len({split[row] for row, other in enumerate(groups) if other == group}) == 1
    present = labels.any(axis=0)
    assert (labels[split == "train"].any(axis=0) == present).all()
    assert (draw_splits(labels, groups, seed=seed) == split).all()


@given(st.lists(st.integers(0, 5), min_size=1, max_size=120), st.integers(0, 3))
@settings(deadline=None, max_examples=100)
def test_single_labels_without_groups_meet_their_quotas(classes: list[int], seed: int) -> None:
    split = draw_splits(one_hot(classes, 6), seed=seed)
    for label, total in Counter(classes).items():
        got = Counter(split[np.array(classes) == label].tolist())
        for name, fraction in zip(SPLITS, (0.7, 0.1, 0.2), strict=True):
            assert abs(got[name] - fraction * total) <= 2
            if total >= 10 or (total >= 3 and len(classes) < 20):
                assert got[name] >= 1
        assert got["train"] >= 1
        if total >= 2 and len(classes) < 20:
            assert got["test"] >= 1
        if total % 10 == 0:
            assert [got[name] * 10 for name in SPLITS] == [7 * total, total, 2 * total]


def test_a_class_of_three_groups_is_in_every_split_whatever_their_sizes() -> None:
    groups = [0] * 10 + [1] * 10 + [2] * 10 + [3] * 30 + [4] * 2 + [5]
    labels = one_hot([0] * 30 + [1] * 33, 2)
    for seed in range(5):
        split = draw_splits(labels, groups, seed=seed)
        assert set(split[:30].tolist()) == set(SPLITS)
        assert set(split[30:].tolist()) == set(SPLITS)


@pytest.mark.parametrize("each", range(2, 12))
@pytest.mark.parametrize("seed", range(3))
def test_fractions_hold_for_few_samples_of_each_class(each: int, seed: int) -> None:
    count = 120 // each
    labels = np.repeat(np.eye(count, dtype=bool), each, axis=0)
    split = draw_splits(labels, seed=seed)
    for name, fraction in zip(SPLITS, (0.7, 0.1, 0.2), strict=True):
        assert abs((split == name).mean() - fraction) <= 0.051
    assert labels[split == "train"].any(axis=0).all()
    carved = carve_validation(labels, None, np.array(["train"] * len(labels)), seed=seed)
    assert abs((carved == "validation").mean() - 0.1) <= 0.051
    assert labels[carved == "train"].any(axis=0).all()


def test_which_classes_reach_validation_is_drawn() -> None:
    labels = np.repeat(np.eye(60, dtype=bool), 2, axis=0)
    first, second = (draw_splits(labels, seed=seed) == "validation" for seed in (0, 1))
    assert (labels[first].any(axis=0) != labels[second].any(axis=0)).any()


def test_large_grouped_sets_come_close_to_their_fractions() -> None:
    generator = np.random.default_rng(3)
    groups = generator.integers(0, 2500, 8000)
    labels = one_hot(generator.integers(0, 20, 2500)[groups].tolist(), 20)
    split = draw_splits(labels, groups, seed=1)
    for name, fraction in zip(SPLITS, (0.7, 0.1, 0.2), strict=True):
        per_class = labels[split == name].sum(axis=0) / labels.sum(axis=0)
        assert np.abs(per_class - fraction).max() < 0.02


def test_several_labels_are_stratified() -> None:
    generator = np.random.default_rng(4)
    labels = generator.random((4000, 8)) < np.linspace(0.02, 0.6, 8)
    split = draw_splits(labels, seed=0)
    for name, fraction in zip(SPLITS, (0.7, 0.1, 0.2), strict=True):
        per_class = labels[split == name].sum(axis=0) / labels.sum(axis=0)
        assert np.abs(per_class - fraction).max() < 0.02


def test_another_seed_draws_another_split() -> None:
    labels = one_hot([row % 4 for row in range(100)], 4)
    first, second = draw_splits(labels, seed=0), draw_splits(labels, seed=1)
    assert (first != second).any()
    assert Counter(first.tolist()) == Counter(second.tolist())


@given(labeled_groups())
@settings(deadline=None, max_examples=100)
def test_carving_touches_train_only_and_keeps_its_classes(
    drawn: tuple[NDArray[np.bool_], list[int | None], int],
) -> None:
    labels, _, seed = drawn
    generator = np.random.default_rng(seed)
    given_split = np.where(generator.random(len(labels)) < 0.3, "test", "train")
    carved = carve_validation(labels, None, given_split, seed=seed)
    assert ((carved == "test") == (given_split == "test")).all()
    before = labels[given_split == "train"].any(axis=0)
    assert (labels[carved == "train"].any(axis=0) == before).all()


def test_carving_takes_a_tenth_of_each_class_and_whole_groups() -> None:
    labels = one_hot([0] * 100 + [1] * 50 + [0, 1] * 10, 2)
    groups = [row // 2 for row in range(150)] + [1000 + row for row in range(20)]
    split = np.array(["train"] * 150 + ["test"] * 20)
    carved = carve_validation(labels, groups, split, seed=0)
    assert (carved[:100] == "validation").sum() == 10
    assert (carved[100:150] == "validation").sum() in (4, 6)
    assert (carved[0:150:2] == carved[1:150:2]).all()
    assert (carved[150:] == "test").all()


def test_groups_are_numbered_in_order_and_nothing_stands_alone() -> None:
    numbers = group_numbers(["b", None, "a", "b", float("nan"), ""], 6)
    assert numbers.tolist() == [0, 1, 2, 0, 3, 4]


def test_one_group_may_be_spelled_in_several_ways() -> None:
    groups = [7, 7.0, "7", " 7 ", np.int64(7), "8", {"a": [1]}, {"a": [1]}, [7], [7], True]
    assert group_numbers(groups, 11).tolist() == [0, 0, 0, 0, 0, 1, 2, 2, 3, 3, 4]


@pytest.mark.parametrize("fractions", [(0.5, 0.1, 0.2), (1.2, -0.1, -0.1), (0.0, 0.5, 0.5)])
def test_invalid_fractions_are_refused(fractions: tuple[float, float, float]) -> None:
    with pytest.raises(SettingError, match="add up to 1"):
        draw_splits(one_hot([0, 1], 2), fractions=fractions)


def test_spellings_of_splits() -> None:
    for spelling in ("val", "valid", "dev", "Validation ", "VAL"):
        assert split_name(spelling) == "validation"
    assert split_name("training") == split_name("train") == "train"
    assert split_name("holdout") is None
