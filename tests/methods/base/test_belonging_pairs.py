"""Pairs that do not belong together are left out, and InfoNCE reports how many."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

import commonspace as cs
from commonspace.callbacks import Callback
from commonspace.data import Dataset, Features
from commonspace.methods.base.belonging_pairs import belonging_pairs

NAMES = ("image", "text", "sound")


def pairs(
    count: int, exchanged: int, modalities: int = 2, seed: int = 0
) -> tuple[Dataset, NDArray[np.bool_]]:
    """Return samples whose last modality is that of another one in the marked rows."""
    draw = np.random.default_rng(seed)
    common = draw.normal(size=(count, 6))
    tables = [
        common @ draw.normal(size=(6, 12)) + 0.3 * draw.normal(size=(count, 12))
        for _ in range(modalities)
    ]
    rows = draw.permutation(count)[:exchanged]
    tables[-1][rows] = tables[-1][np.roll(rows, 1)]
    wrong = np.zeros(count, dtype=bool)
    wrong[rows] = True
    data = Dataset(
        name="pairs",
        ids=tuple(map(str, range(count))),
        columns={name: Features(one) for name, one in zip(NAMES, tables, strict=False)},
        labels=np.zeros((count, 0), dtype=bool),
        class_names=(),
        splits=np.full(count, "train"),
    )
    return data, wrong


def rows_of(data: Dataset, kept: Dataset) -> NDArray[np.intp]:
    places = {one: row for row, one in enumerate(data.ids)}
    return np.array([places[one] for one in kept.ids])


@pytest.mark.parametrize("count", [400, 2500])
def test_exchanged_pairs_are_left_out(count: int) -> None:
    data, wrong = pairs(count, count // 4)
    found = belonging_pairs(data)
    assert found is not None
    kept = np.zeros(count, dtype=bool)
    kept[rows_of(data, found)] = True
    assert (~kept & wrong).sum() >= 0.85 * wrong.sum()
    assert (~kept & ~wrong).sum() <= 0.05 * (~wrong).sum()


def test_the_order_of_samples_does_not_matter() -> None:
    data, _ = pairs(300, 60)
    order = np.random.default_rng(1).permutation(300)
    first, second = belonging_pairs(data), belonging_pairs(data.take(order))
    assert first is not None
    assert second is not None
    assert len({*first.ids} ^ {*second.ids}) <= 6  # other folds, so a doubtful pair may differ


def test_of_three_modalities_only_the_exchanged_one_is_taken_away() -> None:
    data, wrong = pairs(600, 150, modalities=3)
    found = belonging_pairs(data)
    assert found is not None
    assert len(found) >= 590
    rows = rows_of(data, found)
    assert found.columns["image"].present.mean() > 0.98
    assert found.columns["text"].present.mean() > 0.98
    lost = ~found.columns["sound"].present
    assert (lost & wrong[rows]).sum() >= 0.85 * wrong.sum()
    assert (lost & ~wrong[rows]).sum() <= 0.05 * (~wrong).sum()


def test_right_few_weak_and_raw_pairs_are_all_kept() -> None:
    data, _ = pairs(400, 0)
    assert belonging_pairs(data) is None
    assert belonging_pairs(pairs(40, 10)[0]) is None  # no share is estimated from so few
    draw = np.random.default_rng(0)
    noise = Dataset.from_arrays(image=draw.normal(size=(300, 5)), text=draw.normal(size=(300, 5)))
    assert belonging_pairs(noise) is None
    words = cs.Texts(tuple(("a cat",) for _ in range(400)))
    assert belonging_pairs(replace(data, columns={**data.columns, "text": words})) is None


def test_samples_with_one_modality_are_kept() -> None:
    data, wrong = pairs(400, 100)
    text = data.columns["text"]
    assert isinstance(text, Features)
    alone = np.arange(400) < 40
    columns = {**data.columns, "text": Features(text.values, ~alone)}
    found = belonging_pairs(replace(data, columns=columns))
    assert found is not None
    rows = rows_of(data, found)
    assert set(np.flatnonzero(alone)) <= set(rows.tolist())
    assert wrong[rows][~alone[rows]].mean() < 0.06


class Messages(Callback):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def on_message(self, text: str) -> None:
        """Keep it."""
        self.texts.append(text)


def test_infonce_leaves_them_out_and_says_how_many() -> None:
    data, wrong = pairs(500, 150)
    clean, _ = pairs(500, 0)
    validation = replace(clean.take(np.arange(100)), splits=np.full(100, "validation"))
    messages = Messages()
    run = cs.RunConfig(callbacks=(messages,))
    space = cs.InfoNCE(epochs=2).fit(data, validation, run)
    count = space.provenance["mismatched"]
    assert 0.8 * wrong.sum() <= count <= 1.1 * wrong.sum()
    assert any(
        f"{count} training pairs probably do not belong together" in one for one in messages.texts
    )
    for method, train in (
        (cs.InfoNCE(epochs=2, drop_mismatched=False), data),
        (cs.InfoNCE(epochs=2), clean),
    ):
        messages = Messages()
        kept = method.fit(train, validation, cs.RunConfig(callbacks=(messages,)))
        assert "mismatched" not in kept.provenance
        assert not any("belong together" in one for one in messages.texts)
