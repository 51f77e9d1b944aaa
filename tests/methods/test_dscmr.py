"""DSCMR as a method: its variants, its options, and what it refuses to learn from."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, Literal

import numpy as np
import pytest
import torch

from commonspace.data import Column, Dataset, Features, Texts
from commonspace.errors import DataError, SettingError
from commonspace.methods import DSCMR
from commonspace.methods import dscmr as module
from commonspace.methods.base import encoder_config
from commonspace.methods.base.gradient import Recipe
from commonspace.methods.dscmr import VARIANTS
from commonspace.networks.dscmr import DSCMRNetwork
from commonspace.space import CommonSpace
from commonspace.training import Run

QUIET = Run(observers=())
TINY: dict[str, Any] = {"hidden_dim": 16, "embedding_dim": 8, "epochs": 2}

TABLE = {  # the table of the reference: what differs, and nothing else
    "reduction": ("frobenius", "rows"),
    "relu_after_shared": (True, False),
    "classifier": ("linear", "affine"),
    "betas": ((0.9, 0.999), (0.5, 0.999)),
    "shuffle": (True, False),
    "lambda_": (1e-3, 1e-3),
    "eta": (1e-1, 1e-1),
}


@pytest.fixture
def recipe_of(
    feature_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> Callable[[DSCMR], Recipe]:
    """Return what a method decides: the recipe that it hands to training."""
    caught: list[Recipe] = []

    def catch(recipe: Recipe, *_: object) -> None:
        caught.append(recipe)

    monkeypatch.setattr(module, "fit_by_gradient", catch)
    monkeypatch.setattr(encoder_config, "_recorded", lambda space, given: space)

    def run(method: DSCMR) -> Recipe:
        method.fit(feature_dataset.split("train"), feature_dataset.split("validation"))
        return caught[-1]

    return run


def resolved(recipe: Recipe) -> dict[str, object]:
    """Return the items of the table as network, objective and loop will have them."""
    with torch.random.fork_rng(devices=[]):
        network = recipe.network()
    assert isinstance(network, DSCMRNetwork)
    objective: Any = recipe.objective
    return {
        "reduction": objective.reduction,
        "relu_after_shared": network.config.relu_after_shared,
        "classifier": network.config.classifier,
        "betas": recipe.settings.betas,
        "shuffle": recipe.settings.shuffle,
        "lambda_": objective.lambda_,
        "eta": objective.eta,
    }


@pytest.mark.parametrize(("place", "variant"), [(0, "paper"), (1, "released")])
def test_a_variant_is_its_column_of_the_table(
    place: int, variant: Literal["paper", "released"], recipe_of: Callable[[DSCMR], Recipe]
) -> None:
    recipe = recipe_of(DSCMR(variant=variant))
    assert resolved(recipe) == {item: values[place] for item, values in TABLE.items()}
    assert set(asdict(VARIANTS[variant])) == set(TABLE)


def test_outside_the_table_the_variants_agree(recipe_of: Callable[[DSCMR], Recipe]) -> None:
    paper, released = (recipe_of(DSCMR(variant=v)) for v in ("paper", "released"))
    same = {"betas": (0.9, 0.999), "shuffle": True}
    assert replace(released.settings, **same) == paper.settings  # type: ignore[arg-type]
    assert (paper.settings.learning_rate, paper.settings.epochs) == (1e-4, 500)
    assert (paper.settings.batch_size, paper.settings.seed) == (100, 0)


OTHERS = {
    "reduction": "rows",
    "relu_after_shared": False,
    "classifier": "closed_form",
    "betas": (0.7, 0.8),
    "shuffle": False,
    "lambda_": 0.0,
    "eta": 0.0,
}


@pytest.mark.parametrize("item", TABLE)
@pytest.mark.parametrize("variant", VARIANTS)
def test_each_item_can_be_chosen_alone(
    item: str, variant: Literal["paper", "released"], recipe_of: Callable[[DSCMR], Recipe]
) -> None:
    expected = {name: getattr(VARIANTS[variant], name) for name in TABLE} | {item: OTHERS[item]}
    options: dict[str, Any] = {item: OTHERS[item]}
    assert resolved(recipe_of(DSCMR(variant=variant, **options))) == expected


def test_raw_items_have_their_own_length_and_rate(raw_dataset: Dataset) -> None:
    record = DSCMR(hidden_dim=8, embedding_dim=4, patience=1).fit(
        raw_dataset.split("train"), raw_dataset.split("validation"), QUIET
    )
    training = record.provenance["training"]
    assert (training["epochs"], training["learning_rate"], training["batch_size"]) == (60, 5e-4, 50)


@pytest.mark.parametrize(
    "option",
    [
        {"variant": "printed"},
        {"classifier": "softmax"},
        {"reduction": "sum"},
        {"lambda_": -1e-3},
        {"eta": float("nan")},
        {"label_weight": float("inf")},
        {"hidden_dim": 0},
        {"embedding_dim": -1},
        {"epochs": 0},
        {"patience": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("inf")},
        {"betas": (1.0, 0.9)},
        {"seed": -1},
        {"precision": "float16"},
    ],
    ids=lambda option: next(iter(option)),
)
def test_an_option_that_cannot_work_is_refused_at_once(option: dict[str, Any]) -> None:
    ((name, value),) = option.items()
    with pytest.raises(SettingError, match=name) as caught:
        DSCMR(**option)
    assert caught.value.found in (repr(value), str(value))
    assert caught.value.expected
    assert caught.value.advice


def test_an_unknown_device_is_refused_before_training(feature_dataset: Dataset) -> None:
    with pytest.raises(SettingError, match="abacus"):
        DSCMR(**TINY, device="abacus").fit(
            feature_dataset.split("train"), feature_dataset.split("validation"), QUIET
        )


def without_labels(part: Dataset) -> Dataset:
    return replace(part, labels=np.zeros_like(part.labels))


def with_column(part: Dataset, name: str, column: Column) -> Dataset:
    return replace(part, columns={**part.columns, name: column})


def one_modality(part: Dataset) -> Dataset:
    return replace(part, columns={"image": part.columns["image"]})


def all_missing(part: Dataset) -> Dataset:
    return with_column(part, "text", Features(np.zeros((len(part), 5)), [False] * len(part)))


def other_size(part: Dataset) -> Dataset:
    return with_column(part, "text", Features(np.zeros((len(part), 4))))


def other_kind(part: Dataset) -> Dataset:
    return with_column(part, "text", Texts([("words",)] * len(part)))


def other_classes(part: Dataset) -> Dataset:
    return replace(part, class_names=("ant", "bee", "cow", "dog"))


def fewer_classes(part: Dataset) -> Dataset:
    return replace(part, class_names=part.class_names[:3], labels=part.labels[:, :3])


Change = Callable[[Dataset], Dataset]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_labels, "validation part of 'points' has no labels"),
        (one_modality, "'text' to be 5-d features"),
        (all_missing, "no labelled validation sample of 'points' has the modality 'text'"),
        (other_size, "4-d features"),
        (other_kind, "texts"),
        (other_classes, "the class 'cat', as in training\n  found:    'cow'"),
        (fewer_classes, "the class 'dog', as in training\n  found:    None"),
    ],
)
def test_a_validation_part_that_does_not_fit_is_refused(
    change: Change, message: str, feature_dataset: Dataset
) -> None:
    with pytest.raises(DataError) as caught:
        DSCMR(**TINY).fit(
            feature_dataset.split("train"), change(feature_dataset.split("validation")), QUIET
        )
    assert message in str(caught.value)
    assert caught.value.advice


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_labels, "training part of 'points' has no labels"),
        (one_modality, "too few modalities"),
        (all_missing, "no training sample of 'points' has the modality 'text'"),
    ],
)
def test_a_training_part_that_teaches_nothing_is_refused(
    change: Change, message: str, feature_dataset: Dataset
) -> None:
    with pytest.raises(DataError) as caught:
        DSCMR(**TINY).fit(
            change(feature_dataset.split("train")), feature_dataset.split("validation"), QUIET
        )
    assert message in str(caught.value)
    assert caught.value.advice


def weights(space: CommonSpace) -> dict[str, torch.Tensor]:
    return space.network.state_dict()


def test_the_test_part_is_out_of_reach(feature_dataset: Dataset) -> None:
    """Other test samples, labels and ids altogether leave every bit of the result as it was."""
    poison = np.flatnonzero(feature_dataset.splits == "test")
    labels = feature_dataset.labels.copy()
    labels[poison] = np.roll(labels[poison], 1, axis=1)
    columns = {}
    for name, column in feature_dataset.columns.items():
        assert isinstance(column, Features)
        values = column.values.copy()
        values[poison] = 1e6 * np.roll(values[poison], 3, axis=0)
        columns[name] = Features(values)
    ids = tuple(f"{name}!" if i in poison else name for i, name in enumerate(feature_dataset.ids))
    poisoned = replace(feature_dataset, columns=columns, labels=labels, ids=ids)
    assert poisoned.fingerprint != feature_dataset.fingerprint
    first, second = (
        DSCMR(**TINY).fit(data.split("train"), data.split("validation"), QUIET)
        for data in (feature_dataset, poisoned)
    )
    for name, tensor in weights(first).items():
        assert torch.equal(tensor, weights(second)[name])
    clocks = [space.provenance["chosen"].pop("seconds") for space in (first, second)]
    assert all(clock > 0 for clock in clocks)
    assert first.provenance == second.provenance


def test_three_modalities_gaps_and_unlabelled_samples_are_learnt_from(
    three_modalities: Dataset,
) -> None:
    """A sample without image is one without image: its row of numbers is never looked at."""
    assert three_modalities.modalities == ("image", "type", "sound.wav")
    part = three_modalities.split("train")
    labels = part.labels.copy()
    labels[::5] = False
    there = np.arange(len(part)) % 4 != 0
    image = part.columns["image"]
    assert isinstance(image, Features)
    spaces = []
    for filling in (0.0, np.nan):
        values = np.where(there[:, None], image.values, filling)
        gappy = replace(with_column(part, "image", Features(values, there)), labels=labels)
        spaces.append(DSCMR(**TINY).fit(gappy, three_modalities.split("validation"), QUIET))
    for name, tensor in weights(spaces[0]).items():
        assert torch.equal(tensor, weights(spaces[1])[name])
    whole = DSCMR(**TINY).fit(
        replace(part, labels=labels), three_modalities.split("validation"), QUIET
    )
    assert not torch.equal(weights(whole)["hidden.0.weight"], weights(spaces[0])["hidden.0.weight"])
