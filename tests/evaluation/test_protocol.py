"""Which samples ask, which answer, and what counts as found."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import commonspace as cs
from commonspace.data import Dataset, Features
from commonspace.errors import DataError, SettingError
from commonspace.evaluation.protocol import average_precisions

SHARED = Path(__file__).parents[3] / "shared"


@pytest.fixture(scope="module")
def space(three_modalities: Dataset) -> cs.CommonSpace:
    method = cs.DSCMR(hidden_dim=16, embedding_dim=8, epochs=3)
    return method.fit(
        three_modalities.split("train"), three_modalities.split("validation"), cs.RunConfig()
    )


def with_gaps(part: Dataset) -> Dataset:
    """Return the part with samples that lack a modality, a label, or have two labels."""
    columns = {}
    for place, (name, column) in enumerate(part.columns.items()):
        assert isinstance(column, Features)
        columns[name] = Features(column.values, np.arange(len(part)) % 5 != place)
    labels = part.labels.copy()
    labels[3] = False
    labels[8:10, 0] = True
    return replace(part, columns=columns, labels=labels)


def naive_map(
    scores: NDArray[np.float32], relevant: NDArray[np.bool_], asks: NDArray[np.bool_]
) -> float:
    """Average precision by its definition, query after query, rank after rank."""
    values = []
    for row in np.flatnonzero(asks):
        order = [j for _, j in sorted((-score, j) for j, score in enumerate(scores[row].tolist()))]
        hits, total = 0, 0.0
        for rank, j in enumerate(order, 1):
            if relevant[row, j]:
                hits += 1
                total += hits / rank
        values.append(total / hits if hits else 0.0)
    return float(np.mean(values))


def test_every_direction_equals_the_definition(
    space: cs.CommonSpace, three_modalities: Dataset
) -> None:
    part = with_gaps(three_modalities.split("test"))
    figures = cs.evaluate(space, part)
    expected = {}
    for source in part.modalities:
        for target in part.modalities:
            if source == target:
                continue
            ask = np.flatnonzero(part.columns[source].present)
            answer = np.flatnonzero(part.columns[target].present)
            scores = (
                space.embed(source, part.columns[source].take(ask))
                @ space.embed(target, part.columns[target].take(answer)).T
            )
            relevant = np.array(
                [[(a & b).any() for b in part.labels[answer]] for a in part.labels[ask]]
            )
            asks = part.labels[ask].sum(axis=1) > 0
            expected[f"{source}->{target}"] = naive_map(scores, relevant, asks)
            direction = figures[f"{source}->{target}"]
            assert direction["queries"] == asks.sum()
            assert direction["gallery"] == len(answer)
    assert len(expected) == 6
    assert {name: figures[name]["map"] for name in expected} == pytest.approx(expected, abs=1e-9)
    assert figures["average"]["map"] == pytest.approx(np.mean(list(expected.values())), abs=1e-9)


def test_cut_offs_are_given_beside_the_whole(
    space: cs.CommonSpace, three_modalities: Dataset
) -> None:
    figures = cs.evaluate(space, three_modalities.split("test"), k=[5, 1000])
    for direction in figures.values():
        assert direction["map@1000"] == pytest.approx(direction["map"])
        assert direction["map@5"] != direction["map"]


def test_two_of_the_modalities_are_enough_and_one_is_not(
    space: cs.CommonSpace, three_modalities: Dataset
) -> None:
    part = three_modalities.split("test")
    two = replace(part, columns={name: part.columns[name] for name in ("image", "type")})
    whole = cs.evaluate(space, part)
    figures = cs.evaluate(space, two)
    assert set(figures) == {"image->type", "type->image", "average"}
    assert figures["image->type"] == whole["image->type"]
    for names in (("image",), ("image", "other")):
        columns = dict.fromkeys(names, part.columns["image"])
        with pytest.raises(SettingError, match="no two modalities in common") as caught:
            cs.evaluate(space, replace(part, columns=columns))
        assert "'sound.wav'" in caught.value.expected
        assert caught.value.advice


def test_features_of_another_size_are_refused(
    space: cs.CommonSpace, three_modalities: Dataset
) -> None:
    part = three_modalities.split("test")
    wider = {**part.columns, "image": Features(np.zeros((len(part), 9)))}
    with pytest.raises(DataError, match="6 numbers"):
        cs.evaluate(space, replace(part, columns=wider))


def test_wikipedia_is_well_above_chance() -> None:
    """Real features: ten classes, chance near .11; this comes to about .25 on average."""
    path = SHARED / "data" / "wikipedia" / "wikipedia.npz"
    if not path.exists():
        pytest.skip("the shared Wikipedia features are not beside the project")
    data = cs.load_dataset(path)
    method = cs.DSCMR(epochs=20, hidden_dim=512, embedding_dim=128, learning_rate=3e-3)
    space = method.fit(data.split("train"), data.split("validation"), cs.RunConfig())
    test = data.split("test")
    figures = cs.evaluate(space, test)
    shares = test.labels.mean(axis=0)
    chance = float((shares**2).sum())  # a random ranking finds each class at its share
    assert chance < 0.13
    assert len(test) == 693
    for direction in ("image->text", "text->image"):
        assert figures[direction]["map"] > chance + 0.07
    assert figures["average"]["map"] > 0.2


def test_a_sample_of_queries_needs_labels(space: cs.CommonSpace, three_modalities: Dataset) -> None:
    unlabeled = replace(three_modalities, labels=np.zeros_like(three_modalities.labels))
    with pytest.raises(SettingError, match=r"`queries` draws labeled queries"):
        cs.evaluate(space, unlabeled, queries=5)


def test_the_precision_of_each_query_is_what_the_figures_are_the_mean_of(
    space: cs.CommonSpace, three_modalities: Dataset
) -> None:
    part = with_gaps(three_modalities.split("test"))
    figures, values = cs.evaluate(space, part), average_precisions(space, part)
    assert list(values) == [name for name in figures if name != "average"]
    for direction, precisions in values.items():
        source = direction.split("->")[0]
        judged = part.columns[source].present & part.labels.any(axis=1)
        np.testing.assert_array_equal(np.isfinite(precisions), judged)
        assert np.nanmean(precisions) == pytest.approx(figures[direction]["map"], abs=1e-12)
