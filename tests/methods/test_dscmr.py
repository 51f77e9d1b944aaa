"""DSCMR: presets, settings, unsuitable data, missing modalities and labels."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
import torch

from commonspace.data import Column, Dataset, Features, Texts
from commonspace.errors import DataError, SettingError
from commonspace.methods import DSCMR
from commonspace.methods import dscmr as module
from commonspace.methods.dscmr import PRESETS
from commonspace.networks.dscmr import DSCMRNetwork
from commonspace.space import CommonSpace
from commonspace.training import RunConfig, TrainingSettings

QUIET = RunConfig()
TINY: dict[str, Any] = {"hidden_dim": 16, "embedding_dim": 8, "epochs": 2}

TABLE = {  # differences between paper and official code, in this order
    "norm": ("frobenius", "rows"),
    "relu_after_shared": (True, False),
    "classifier": ("linear", "affine"),
    "betas": ((0.9, 0.999), (0.5, 0.999)),
    "shuffle": (True, False),
    "lam": (1e-3, 1e-3),
    "eta": (1e-1, 1e-1),
}


@pytest.fixture
def resolve(
    feature_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> Callable[[DSCMR], tuple[dict[str, object], TrainingSettings]]:
    """Return the settings of the table as network, loss and training loop receive them."""

    def run(method: DSCMR) -> tuple[dict[str, object], TrainingSettings]:
        passed: dict[str, Any] = {}

        def catch(*_: object, **options: object) -> dict[str, torch.Tensor]:
            passed.update(options)
            return {}

        monkeypatch.setattr(module, "dscmr_loss", catch)
        splits = feature_dataset.split("train"), feature_dataset.split("validation")
        data = method.prepare(*splits, QUIET)
        with torch.random.fork_rng(devices=[]):
            network = method.build_network(data)
        assert isinstance(network, DSCMRNetwork)
        method.batch_loss(network, data.samples.batch(torch.arange(2)), data)
        settings = method.training_settings(data)
        return {
            "norm": passed["norm"],
            "relu_after_shared": network.config.relu_after_shared,
            "classifier": network.config.classifier,
            "betas": settings.betas,
            "shuffle": settings.shuffle,
            "lam": passed["lam"],
            "eta": passed["eta"],
        }, settings

    return run


Resolve = Callable[[DSCMR], tuple[dict[str, object], TrainingSettings]]


@pytest.mark.parametrize(("column", "preset"), [(0, "paper"), (1, "official")])
def test_a_preset_is_its_column_of_the_table(
    column: int, preset: Literal["paper", "official"], resolve: Resolve
) -> None:
    values, _ = resolve(DSCMR(preset=preset))
    assert values == {name: both[column] for name, both in TABLE.items()}
    assert set(PRESETS[preset]) == set(TABLE)


def test_outside_the_table_the_presets_agree(resolve: Resolve) -> None:
    (_, paper), (_, official) = (resolve(DSCMR(preset=name)) for name in ("paper", "official"))
    assert replace(official, betas=(0.9, 0.999), shuffle=True) == paper
    assert (paper.learning_rate, paper.epochs) == (1e-4, 500)
    assert (paper.batch_size, paper.seed) == (100, 0)


OTHERS = {
    "norm": "rows",
    "relu_after_shared": False,
    "classifier": "closed_form",
    "betas": (0.7, 0.8),
    "shuffle": False,
    "lam": 0.0,
    "eta": 0.0,
}


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("preset", PRESETS)
def test_each_setting_can_be_changed_alone(
    name: str, preset: Literal["paper", "official"], resolve: Resolve
) -> None:
    expected = {**PRESETS[preset], name: OTHERS[name]}
    options: dict[str, Any] = {name: OTHERS[name]}
    assert resolve(DSCMR(preset=preset, **options))[0] == expected


def test_a_loss_without_any_term_is_refused() -> None:
    with pytest.raises(SettingError, match="must not all be 0"):
        DSCMR(alpha=0.0, lam=0.0, eta=0.0)


def test_raw_items_have_their_own_length_and_rate(raw_dataset: Dataset) -> None:
    record = DSCMR(hidden_dim=8, embedding_dim=4, patience=1).fit(
        raw_dataset.split("train"), raw_dataset.split("validation"), QUIET
    )
    training = record.provenance["training"]
    assert (training["epochs"], training["learning_rate"], training["batch_size"]) == (60, 5e-4, 50)


@pytest.mark.parametrize(
    "option",
    [
        {"preset": "printed"},
        {"classifier": "softmax"},
        {"norm": "sum"},
        {"lam": -1e-3},
        {"eta": float("nan")},
        {"alpha": float("inf")},
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
def test_an_invalid_setting_is_refused_at_once(option: dict[str, Any]) -> None:
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
        (without_labels, "validation split of 'points' has no labels"),
        (one_modality, "'text' to be 5-d features"),
        (all_missing, "no labeled validation sample of 'points' has the modality 'text'"),
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
        (without_labels, "training split of 'points' has no labels"),
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


def test_three_modalities_gaps_and_unlabelled_samples_are_supported(
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
