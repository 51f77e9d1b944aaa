"""The figures of a report are those of the package, and what cannot be judged says why."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import commonspace as cs
from commonspace.data import Dataset, Features
from commonspace.evaluation.protocol import embed_for_evaluation
from commonspace.reporting.measurements import CONFUSION_DEPTH, RESULTS, measure
from commonspace.space import CommonSpace

MakeSpace = Callable[[Dataset], CommonSpace]


def test_each_direction_has_the_figures_of_the_package(
    feature_dataset: Dataset, space_of: MakeSpace
) -> None:
    space, part = space_of(feature_dataset), feature_dataset.split("test")
    found = embed_for_evaluation(space, part)
    measured = {one.name: one for one in measure(found)}
    expected = cs.evaluate(space, part)
    assert list(measured) == ["image->text", "text->image"]
    for name, one in measured.items():
        assert one.map.mean == pytest.approx(expected[name]["map"], abs=1e-12)
        assert one.map.low <= one.map.mean <= one.map.high
        assert one.chance == pytest.approx(0.25)
        assert (one.queries, one.gallery) == (16, 16)
        assert sum(one.by_class.values()) / 4 == pytest.approx(one.map.mean)
        figures = one.figures()
        assert figures["recall@1"] <= figures["recall@5"] <= figures["recall@10"]


def test_what_is_found_first_is_what_a_sort_finds(
    feature_dataset: Dataset, space_of: MakeSpace
) -> None:
    found = embed_for_evaluation(space_of(feature_dataset), feature_dataset.split("test"))
    one = next(measure(found))
    scores = found.vectors["image"].astype(float) @ found.vectors["text"].astype(float).T
    order = np.argsort(-scores, axis=1, kind="stable")
    np.testing.assert_array_equal(one.results, order[:, :RESULTS])
    ranks = np.argmax(order == np.arange(16)[:, None], axis=1) + 1
    assert one.pairs is not None
    assert one.pairs.median_rank == np.median(ranks)
    classes = found.labels["text"].argmax(axis=1)[order[:, :CONFUSION_DEPTH]]
    assert one.confusion is not None
    asked = found.labels["image"].argmax(axis=1)
    assert one.confusion[2, 3] == pytest.approx((classes[asked == 2] == 3).mean())


def test_one_text_of_several_finds_the_sample_that_it_was_taken_from(
    feature_dataset: Dataset, space_of: MakeSpace
) -> None:
    part = feature_dataset.split("test")
    divided = replace(
        part,
        fields={"sample": [f"s{number // 2}" for number in range(16)]},
        provenance={"multi_caption": "expand"},
    )
    one = next(measure(embed_for_evaluation(space_of(feature_dataset), divided)))
    assert one.pairs is not None
    scores = embed_for_evaluation(space_of(feature_dataset), divided)
    order = np.argsort(-(scores.vectors["image"] @ scores.vectors["text"].T), axis=1, kind="stable")
    own = order // 2 == (np.arange(16) // 2)[:, None]
    assert one.pairs.median_rank == np.median(own.argmax(axis=1) + 1)


def test_a_missing_modality_and_missing_labels_are_reasons(
    feature_dataset: Dataset, space_of: MakeSpace
) -> None:
    part = feature_dataset.split("test")
    bare = replace(
        part, columns={**part.columns, "text": Features(np.zeros((16, 5)), np.zeros(16))}
    )
    reasons = [
        one.problem for one in measure(embed_for_evaluation(space_of(feature_dataset), bare))
    ]
    assert reasons == ["no sample has text", "no sample has text"]
    halves = np.arange(16) < 8  # the first half has images and no labels, the second texts
    labels = np.where(halves[:, None], False, part.labels)
    column, other = part.columns["image"], part.columns["text"]
    assert isinstance(column, Features)
    assert isinstance(other, Features)
    apart = replace(
        part,
        labels=labels,
        columns={"image": Features(column.values, halves), "text": Features(other.values, ~halves)},
    )
    there, back = measure(embed_for_evaluation(space_of(feature_dataset), apart))
    assert "no query has a label" in there.problem
    assert back.problem == ""
    assert back.map.mean == 0  # nothing that answers has a label
    assert back.pairs is None
    assert back.figures()["recall@1"] is None
