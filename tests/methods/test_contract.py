"""One contract for all methods: labelled parts in, a common space out, and the test part unseen."""

import json
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import commonspace as cs
from commonspace import methods
from commonspace.data import Dataset, Features
from commonspace.errors import DataError
from commonspace.methods import DSCMR, ClosedFormMethod, GradientMethod, Method
from commonspace.registry import METHODS, make_method
from commonspace.space import CommonSpace

SHARED = Path(__file__).parents[2].parent / "shared"
QUIET = cs.RunConfig()

TINY: dict[str, Any] = {"hidden_dim": 16, "embedding_dim": 8, "epochs": 30, "learning_rate": 1e-2}
ABLATIONS: dict[str, Any] = {
    "dscmr-without-j1": {"alpha": 0.0},
    "dscmr-without-j2": {"lam": 0.0},
    "dscmr-without-j3": {"eta": 0.0},
    "dscmr-j1-alone": {"lam": 0.0, "eta": 0.0},
    "dscmr-official": {"preset": "official"},
}
GRADIENT = [name for name in METHODS if isinstance(make_method(name), GradientMethod)]
CLOSED_FORM = [name for name in METHODS if isinstance(make_method(name), ClosedFormMethod)]
ALL: dict[str, Method] = {
    **{name: make_method(name) for name in CLOSED_FORM},
    **{name: make_method(name, **TINY) for name in GRADIENT},
    **{name: DSCMR(**TINY, **options) for name, options in ABLATIONS.items()},
}


@dataclass(frozen=True)
class Needs:
    """What the documentation says that a method needs, beside features and validation labels."""

    labels: bool = True
    pairs: bool = False
    two: bool = False
    equal_sizes: bool = False


NEEDS = {
    **dict.fromkeys(ALL, Needs()),
    "raw": Needs(labels=False, equal_sizes=True),
    "cca": Needs(labels=False, pairs=True, two=True),
    "rcca": Needs(labels=False, pairs=True, two=True),
    "mcca": Needs(labels=False, pairs=True),
    "gma": Needs(pairs=True),
    "mvda-vc": Needs(pairs=True),
    "scm": Needs(pairs=True, two=True),
    "infonce": Needs(labels=False, pairs=True),
    "dccae": Needs(labels=False, pairs=True, two=True),
    "kcca": Needs(labels=False, pairs=True, two=True),
    "dcca": Needs(labels=False, pairs=True, two=True),
}

every = pytest.mark.parametrize("name", ALL)


def with_needs(**wanted: bool) -> list[str]:
    return [
        name
        for name, needs in NEEDS.items()
        if all(getattr(needs, need) is value for need, value in wanted.items())
    ]


def fit(name: str, data: Dataset) -> CommonSpace:
    return ALL[name].fit(data.split("train"), data.split("validation"), QUIET)


@pytest.fixture(scope="session")
def two(feature_dataset: Dataset) -> Dataset:
    """Return two modalities that every method takes, each with its own direction for a class."""
    columns = {
        name: Features(column.values[:, :4] + 2 * np.roll(feature_dataset.labels, turn, axis=1))  # type: ignore[attr-defined]
        for turn, (name, column) in enumerate(feature_dataset.columns.items())
    }
    return replace(feature_dataset, columns=columns)


@pytest.fixture(scope="session")
def space_of(two: Dataset) -> Callable[[str], CommonSpace]:
    """Return the space of a method, fitted once; nobody changes it."""
    return cache(lambda name: fit(name, two))


def test_discovery_finds_every_method_there_is() -> None:
    """A dataclass with ``fit`` in the room of methods is a method, and has a name to call it by."""
    found: set[Any] = set()
    for module in pkgutil.iter_modules(methods.__path__):
        room = import_module(f"commonspace.methods.{module.name}")
        found |= {
            thing
            for name, thing in vars(room).items()
            if is_dataclass(thing)
            and hasattr(thing, "fit")
            and isinstance(thing.fit, type(fit))
            and thing.__module__ == room.__name__
            and not name.startswith("_")
        }
    assert found == {type(method) for method in ALL.values()}
    assert {one.__name__ for one in found} <= set(methods.__all__)
    assert len(found) == 29
    assert set(METHODS) <= set(ALL)
    assert set(ALL) - set(METHODS) == set(ABLATIONS)
    assert set(NEEDS) == set(ALL)


@every
def test_a_space_of_the_modalities_and_the_record_of_it_come_back(
    name: str, two: Dataset, space_of: Callable[[str], CommonSpace]
) -> None:
    space = space_of(name)
    assert space.modalities == two.modalities
    assert space.class_names == two.class_names
    record = json.loads(json.dumps(space.provenance, allow_nan=False))
    assert (
        record["method"]["name"]
        == name.removesuffix("-official").split("-without")[0].split("-j1")[0]
    )
    assert record["data"]["fingerprint"] == two.split("train").fingerprint
    assert record["validation"]["fingerprint"] == two.split("validation").fingerprint
    assert record["versions"]["commonspace"]
    by = "the end of the cycle" if name == "posterior" else "validation mAP, the mean over all"
    assert record["chosen"]["by"].startswith(by)
    measured = cs.evaluate(space, two.split("validation"))["average"]["map"]
    assert record["chosen"]["validation_score"] == pytest.approx(measured, abs=1e-6)


@every
def test_vectors_are_finite_float32_whose_inner_product_ranks(
    name: str, two: Dataset, space_of: Callable[[str], CommonSpace]
) -> None:
    space = space_of(name)
    for part in space.embed_dataset(two).values():
        assert part.vectors.dtype == np.float32
        assert part.vectors.shape == (len(two), space.dimension)
        assert np.isfinite(part.vectors).all()
        assert np.linalg.norm(part.vectors, axis=1).max() <= 1 + 1e-5


@every
def test_fitting_again_gives_the_same_bits(
    name: str, two: Dataset, space_of: Callable[[str], CommonSpace]
) -> None:
    first, second = space_of(name), fit(name, two)
    for key, tensor in first.network.state_dict().items():
        assert torch.equal(tensor, second.network.state_dict()[key])


@every
def test_a_saved_space_embeds_alike(
    name: str, two: Dataset, space_of: Callable[[str], CommonSpace], tmp_path: Path
) -> None:
    space = space_of(name)
    space.save(tmp_path / "run")
    loaded = cs.load(tmp_path / "run")
    for modality, column in two.columns.items():
        np.testing.assert_array_equal(loaded.embed(modality, column), space.embed(modality, column))
    assert loaded.provenance == json.loads(json.dumps(space.provenance))


@every
def test_the_test_part_is_out_of_reach(
    name: str, two: Dataset, space_of: Callable[[str], CommonSpace]
) -> None:
    """Other features, labels and ids of the test part leave every bit of the space as it was."""
    poison = two.splits == "test"
    columns = {
        modality: Features(np.where(poison[:, None], 1e6, column.values))  # type: ignore[attr-defined]
        for modality, column in two.columns.items()
    }
    labels = np.where(poison[:, None], np.roll(two.labels, 1, axis=1), two.labels)
    other = fit(name, replace(two, columns=columns, labels=labels))
    space = space_of(name)
    for key, tensor in space.network.state_dict().items():
        assert torch.equal(tensor, other.network.state_dict()[key])
    records = [
        {**one.provenance, "chosen": {**one.provenance["chosen"], "seconds": 0}}
        for one in (space, other)
    ]
    assert records[0] == records[1]


@pytest.mark.parametrize("name", [one for one in ALL if one not in ("raw", "dscmr-without-j1")])
def test_classes_are_found_better_than_by_chance(
    name: str, two: Dataset, space_of: Callable[[str], CommonSpace]
) -> None:
    """A quarter is relevant. The two that are left out learn nothing of classes."""
    assert cs.evaluate(space_of(name), two.split("test"))["average"]["map"] > 0.5


@pytest.mark.parametrize("name", with_needs(two=False, equal_sizes=False))
def test_three_modalities_of_several_sizes_are_joined(name: str, three_modalities: Dataset) -> None:
    space = fit(name, three_modalities)
    assert space.modalities == three_modalities.modalities
    figures = cs.evaluate(space, three_modalities.split("test"))
    assert len(figures) == 7


@pytest.mark.parametrize("name", with_needs(two=True))
def test_three_modalities_are_refused_where_two_are_meant(
    name: str, three_modalities: Dataset
) -> None:
    with pytest.raises(DataError, match="exactly 2") as caught:
        fit(name, three_modalities)
    assert "mcca" in caught.value.advice


@pytest.mark.parametrize("name", with_needs(labels=False))
def test_labels_of_training_are_not_used(
    name: str, two: Dataset, space_of: Callable[[str], CommonSpace]
) -> None:
    known = two.splits == "train"
    labels = np.where(known[:, None], False, two.labels)
    bare, space = fit(name, replace(two, labels=labels)), space_of(name)
    for key, tensor in space.network.state_dict().items():
        assert torch.equal(tensor, bare.network.state_dict()[key])


@pytest.mark.parametrize("name", with_needs(labels=True))
def test_labels_of_training_are_required(name: str, two: Dataset) -> None:
    labels = np.where((two.splits == "train")[:, None], False, two.labels)
    with pytest.raises(DataError, match="the training split of 'points' has no labels"):
        fit(name, replace(two, labels=labels))


def split_apart(data: Dataset) -> Dataset:
    """Return the data with each training sample in one modality or the other, never in both."""
    here = np.arange(len(data)) // 4 % 2 == 0
    free = data.splits != "train"
    columns = {
        name: Features(column.values, mask | free)  # type: ignore[attr-defined]
        for (name, column), mask in zip(data.columns.items(), (here, ~here), strict=True)
    }
    return replace(data, columns=columns)


@pytest.mark.parametrize("name", with_needs(pairs=False))
def test_no_pairs_are_needed(name: str, two: Dataset) -> None:
    space = fit(name, split_apart(two))
    assert space.modalities == two.modalities


@pytest.mark.parametrize("name", with_needs(pairs=True))
def test_pairs_are_required(name: str, two: Dataset) -> None:
    with pytest.raises(DataError, match="too few complete samples"):
        fit(name, split_apart(two))


@every
def test_gaps_several_labels_and_none_are_supported(name: str, two: Dataset) -> None:
    """A row of a missing entry is never looked at, whatever numbers stand in it."""
    labels = two.labels.copy()
    train = two.splits == "train"
    labels[train & (np.arange(len(two)) % 5 == 1)] = False
    labels[train & (np.arange(len(two)) % 7 == 2), 0] = True
    there = ~train | (np.arange(len(two)) % 6 != 0)
    values = two.columns["image"].values  # type: ignore[attr-defined]
    spaces = []
    for filling in (0.0, 1e6):
        image = Features(np.where(there[:, None], values, filling), there)
        data = replace(two, labels=labels, columns={**two.columns, "image": image})
        spaces.append(fit(name, data))
    for key, tensor in spaces[0].network.state_dict().items():
        assert torch.equal(tensor, spaces[1].network.state_dict()[key])
        assert torch.isfinite(tensor).all()


@every
def test_parts_that_do_not_belong_together_are_refused(name: str, two: Dataset) -> None:
    train, validation = two.split("train"), two.split("validation")
    wider = {**validation.columns, "text": Features(np.zeros((len(validation), 9)))}
    for other in (
        replace(validation, columns=wider),
        replace(validation, class_names=("x", "y", "z", "w")),
    ):
        with pytest.raises(DataError, match="do not belong together"):
            ALL[name].fit(train, other, QUIET)


@pytest.mark.parametrize("name", CLOSED_FORM)
def test_raw_items_are_sent_to_extraction(name: str, raw_dataset: Dataset) -> None:
    with pytest.raises(DataError, match="raw") as caught:
        fit(name, raw_dataset)
    assert "commonspace extract" in caught.value.advice


@pytest.mark.parametrize("name", [one for one in CLOSED_FORM if one != "raw"])
def test_wikipedia_is_above_chance(name: str) -> None:
    """Real features with collinear topics: ten classes, chance .11; these come to .19 and more."""
    path = SHARED / "data" / "wikipedia" / "wikipedia.npz"
    if not path.exists():
        pytest.skip("the shared Wikipedia features are not beside the project")
    data = cs.load_dataset(path)
    figures = cs.evaluate(fit(name, data), data.split("test"))
    for direction in ("image->text", "text->image"):
        assert figures[direction]["map"] > 0.111 + 0.05
    assert figures["average"]["map"] > 0.111 + 0.08


def test_the_page_of_methods_says_what_each_needs() -> None:
    page = Path(__file__).parents[2] / "docs" / "methods.md"
    rows = [line.split("|")[1:-1] for line in page.read_text("utf-8").splitlines()]
    table = {row[0].strip(" `"): [one.strip() for one in row[1:]] for row in rows if len(row) == 6}
    del table["--method"], table["---"]
    assert list(table) == list(METHODS)
    for name, (call, _, labels, pairs, modalities) in table.items():
        needs = NEEDS[name]
        assert call.startswith(f"`{type(ALL[name]).__name__}(")
        assert labels == ("yes" if needs.labels else "no")
        assert pairs in (("yes",) if needs.pairs else ("no", "used"))
        expected = "two or more, of one size" if needs.equal_sizes else "two or more"
        assert modalities == ("two" if needs.two else expected)


@pytest.mark.parametrize("name", METHODS)
def test_the_page_of_methods_has_a_section_with_the_searched_settings(name: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "methods.md").read_text("utf-8")
    sections = {
        title: text
        for title, _, text in (part.partition("\n") for part in page.split("\n### ")[1:])
    }
    text = next(text for title, text in sections.items() if name in title.split(", "))
    for heading in ("Idea", "Hyperparameters searched", "Cost", "Use it"):
        assert f"**{heading}" in text
    for setting in getattr(make_method(name), "search_space", {}):
        assert f"`{setting}`" in text
