"""Texts of other samples are taken out, modalities that fit stay, and validation decides."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from commonspace.callbacks import Callbacks
from commonspace.data import Dataset, Features
from commonspace.methods.base import mismatched_pairs
from commonspace.methods.base.kernel_posteriors import fit_kernel_posteriors
from commonspace.methods.base.mismatched_pairs import (
    count_mismatched,
    matched_modalities,
    taught_by_matched,
    without_mismatched,
)
from commonspace.methods.base.noise_model import NoiseModel


def exchanged(share: float, n: int = 300, classes: int = 3) -> tuple[Dataset, NDArray[np.bool_]]:
    """Return clusters whose texts are exchanged for a share, and where the class is another."""
    draw = np.random.default_rng(1)
    numbers = np.arange(n) % classes
    centers = 3 * draw.normal(size=(classes, 6)), 3 * draw.normal(size=(classes, 5))
    text = centers[1][numbers] + draw.normal(size=(n, 5))
    rows = np.arange(n)
    moved = np.sort(draw.permutation(n)[: round(share * n)])
    rows[moved] = draw.permutation(moved)
    data = Dataset(
        name="pairs",
        ids=tuple(map(str, range(n))),
        columns={
            "image": Features(centers[0][numbers] + draw.normal(size=(n, 6))),
            "text": Features(text[rows]),
        },
        labels=np.eye(classes, dtype=bool)[numbers],
        class_names=tuple("abc"[:classes]),
        splits=np.full(n, "train"),
    )
    return data, numbers[rows] != numbers


def apart(data: Dataset, validation: Dataset) -> tuple[object, dict[str, NDArray[np.bool_]]] | None:
    kernels = fit_kernel_posteriors(data, multi_label=False, seed=0)
    return taught_by_matched(kernels, data, validation, seed=0, callbacks=Callbacks())


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_exchanged_texts_are_taken_out_and_photos_stay(share: float) -> None:
    data, other = exchanged(share)
    labels = data.labels.copy()
    labels[:10] = False
    found = apart(replace(data, labels=labels), exchanged(share, n=90)[0])
    assert found is not None
    matched = found[1]
    assert matched["image"].mean() > 0.98
    assert (matched["text"][10:] == ~other[10:]).mean() > 0.97
    assert matched["text"][:10].all()  # without a label nothing is known
    counts = count_mismatched(data, matched)
    assert counts["image"] < 0.02 * len(data)
    kept = without_mismatched(data, matched).columns["text"]
    assert kept.present.sum() == len(data) - counts["text"]


def test_pairs_that_belong_together_stay() -> None:
    assert apart(exchanged(0.0)[0], exchanged(0.0, n=90)[0]) is None


def test_wrong_labels_are_no_wrong_pairs() -> None:
    data, _ = exchanged(0.0)
    draw = np.random.default_rng(2)
    wrong = draw.random(len(data)) < 0.3
    drawn = np.eye(3, dtype=bool)[draw.integers(0, 3, len(data))]
    noisy = replace(data, labels=np.where(wrong[:, None], drawn, data.labels))
    found = apart(noisy, exchanged(0.0, n=90)[0])
    assert found is None or sum(count_mismatched(noisy, found[1]).values()) < 10


def test_a_posterior_below_the_smallest_float32_is_no_division_by_zero() -> None:
    """Slopes reach exp(6), and a class of probability exp(-400) is 0 in float32."""
    labels = np.eye(2, dtype=bool)[[0, 0, 1, 1]]
    scores = {
        "image": np.eye(2)[[0, 0, 1, 1]],  # all fit
        "text": np.eye(2)[[0, 1, 1, 1]],  # the second is of the other class
    }
    model = NoiseModel(np.array([400.0]), np.zeros(2), 0.2)
    with np.errstate(divide="raise", invalid="raise"):
        found = matched_modalities(
            {name: one.__getitem__ for name, one in scores.items()},
            {name: np.ones(4, dtype=bool) for name in scores},
            labels,
            dict.fromkeys(scores, model),
        )
    assert found is not None
    assert found["image"].tolist() == [True] * 4
    assert found["text"].tolist() == [True, False, True, True]


def test_too_few_samples_are_not_judged() -> None:
    assert apart(exchanged(0.5, n=21)[0], exchanged(0.5, n=90)[0]) is None


def test_validation_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = iter([0.5, 0.4])
    monkeypatch.setattr(mismatched_pairs, "validation_map", lambda *_: next(figures))
    assert apart(exchanged(0.3)[0], exchanged(0.3, n=90)[0]) is None


def test_exchanged_texts_of_validation_do_not_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[Dataset] = []

    def figure(_: object, part: Dataset) -> float:
        judged.append(part)
        return 0.5

    monkeypatch.setattr(mismatched_pairs, "validation_map", figure)
    validation, other = exchanged(0.4, n=150)
    assert apart(exchanged(0.4)[0], validation) is not None
    rows = [int(one) for one in judged[0].ids]
    assert other[rows].mean() < 0.1 < other.mean()
    assert len(rows) > 0.9 * (~other).sum()
