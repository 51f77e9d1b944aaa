"""Pairs that were exchanged between classes are found; pairs that belong together are not."""

from dataclasses import replace

import numpy as np
import pytest

from commonspace.assessment.pair_check import find_mismatched_pairs
from commonspace.data import Dataset, Features
from commonspace.methods.base.mismatched_pairs import mismatch_probabilities


def posteriors(classes: np.ndarray, sharpness: float, seed: int) -> np.ndarray:
    """Return calibrated posteriors: labels are drawn from softmax scores around the classes."""
    draw = np.random.default_rng(seed)
    logits = sharpness * np.eye(4)[classes] + draw.gumbel(size=(len(classes), 4)) * 0.3
    weights = np.exp(logits)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("share", [0.0, 0.2, 0.6])
def test_the_share_and_the_pairs_are_found(share: float) -> None:
    n = 400
    classes = np.arange(n) % 4
    wrong = np.arange(n) < share * n
    drawn = np.random.default_rng(2).integers(0, 4, n)
    other = np.where(wrong, drawn, classes)
    estimate, p = mismatch_probabilities(posteriors(classes, 5, 0), posteriors(other, 5, 1))
    assert estimate == pytest.approx(share, abs=0.08)
    different = classes != other
    assert p[different].min(initial=1) > p[~different].max()
    assert ((p > 0.5) == different).mean() > 0.97


def test_weak_posteriors_make_no_claims() -> None:
    even = np.full((50, 4), 0.25)
    _, p = mismatch_probabilities(even, even)
    assert (p < 0.5).all()


def test_the_list_names_the_classes_of_each_modality(feature_dataset: Dataset) -> None:
    classes = feature_dataset.labels.argmax(axis=1)
    p = posteriors(classes, 9, 0)
    q = posteriors(classes, 9, 1)
    q[5] = np.roll(q[5], 2)
    p[7] = np.nan  # lacks the modality
    share, found = find_mismatched_pairs(feature_dataset, {"image": p, "text": q})
    assert [one.row for one in found] == [5]
    names = feature_dataset.class_names
    assert found[0].by_modality == {
        "image": names[classes[5]],
        "text": names[(classes[5] + 2) % 4],
    }
    assert 0.005 < share < 0.05
    data = replace(feature_dataset, columns={"image": Features(np.eye(80, 3))})
    assert find_mismatched_pairs(data, {"image": p}) == (0.0, ())
