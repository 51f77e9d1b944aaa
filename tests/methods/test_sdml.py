"""SDML: its fixed projection, the independence of its modalities, its two terms."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from commonspace.data import Dataset, Features
from commonspace.errors import SettingError
from commonspace.methods import SDML
from commonspace.networks.branches import BranchesConfig, BranchesNetwork
from commonspace.training import Batch, RunConfig

QUIET = RunConfig()
NO_DATA: Any = None
TINY: dict[str, Any] = {"hidden_dim": 16, "embedding_dim": 8, "epochs": 5, "learning_rate": 1e-2}
SIZES = {"image": 6, "text": 5}


def network(decoded: bool = True) -> BranchesNetwork:
    config = BranchesConfig(
        {name: {"kind": "vectors", "size": size} for name, size in SIZES.items()},
        hidden_dim=8,
        embedding_dim=4,
        depth=2,
        decoded=decoded,
        heads={"classes": {"kind": "orthonormal", "columns": 3}},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return BranchesNetwork(config)


@pytest.mark.parametrize("share", [0.3, 0.0])
def test_the_loss_equals_the_formula(share: float) -> None:
    draw = np.random.default_rng(1)
    present = {name: torch.from_numpy(draw.random(9) < 0.8) for name in SIZES}
    inputs = {
        name: torch.from_numpy(draw.normal(size=(int(present[name].sum()), size))).float()
        for name, size in SIZES.items()
    }
    labels = torch.from_numpy(draw.random((9, 3)) < 0.4).float()
    built = network(decoded=share > 0)
    P = built.state_dict()["heads.classes.matrix"].numpy()
    expected = 0.0
    with torch.no_grad():
        found = (
            SDML(reconstruction=share)
            .batch_loss(built, Batch(inputs, present, labels), NO_DATA)["loss"]
            .item()
        )
        for name, x in inputs.items():
            u = built.embed(name, x)
            y = labels[present[name]].numpy()
            errors = np.linalg.norm(u.numpy() @ P - y, axis=1)[y.any(axis=1)]
            expected += (1 - share) * errors.mean()
            if share:
                back = built.decode(name, u).numpy()
                expected += share * np.linalg.norm(x.numpy() - back, axis=1).mean()
    assert not labels.any(dim=1).all(), "some have no label"
    assert found == pytest.approx(expected, rel=1e-5)


def test_the_projection_is_orthonormal_drawn_from_the_seed_and_stays(
    feature_dataset: Dataset, witness: Callable[..., Any]
) -> None:
    drawn = []
    for seed in (0, 0, 1):
        watcher = witness()
        method = SDML(**TINY, seed=seed)
        method.fit(
            feature_dataset.split("train"),
            feature_dataset.split("validation"),
            RunConfig(callbacks=(watcher,)),
        )
        matrices = [one["heads.classes.matrix"] for one in watcher.weights.values()]
        assert len(matrices) == 5
        assert all(torch.equal(matrix, matrices[0]) for matrix in matrices)
        drawn.append(matrices[0])
    torch.testing.assert_close(drawn[0].T @ drawn[0], torch.eye(4), atol=1e-6, rtol=0)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.allclose(drawn[0], drawn[2])


def test_a_modality_is_trained_independently_of_the_other(
    feature_dataset: Dataset, witness: Callable[..., Any]
) -> None:
    """Other numbers in the text change no bit of the image branch, in any epoch."""
    seen = []
    for data in (
        feature_dataset,
        replace(
            feature_dataset, columns={**feature_dataset.columns, "text": _other(feature_dataset)}
        ),
    ):
        watcher = witness()
        method = SDML(**TINY, batch_size=16)
        method.fit(data.split("train"), data.split("validation"), RunConfig(callbacks=(watcher,)))
        seen.append(watcher.weights)
    for first, second in zip(seen[0].values(), seen[1].values(), strict=True):
        changed = {name for name in first if not torch.equal(first[name], second[name])}
        assert {name.split(".")[1] for name in changed} == {"1"}, "the number of the text"


def _other(data: Dataset) -> Features:
    values = data.columns["text"].values  # type: ignore[attr-defined]
    return Features(np.roll(values, 1, axis=1) * 3)


def test_classes_end_along_their_columns(feature_dataset: Dataset) -> None:
    method = SDML(**{**TINY, "epochs": 80, "reconstruction": 0.1, "patience": None})
    train = feature_dataset.split("train")
    space = method.fit(train, feature_dataset.split("validation"), QUIET)
    P = space.network.state_dict()["heads.classes.matrix"].numpy()
    for name, column in train.columns.items():
        told = (space.embed(name, column) @ P).argmax(axis=1)
        assert np.mean(told == train.labels.argmax(axis=1)) > 0.9


def test_fewer_dimensions_than_classes_are_refused(feature_dataset: Dataset) -> None:
    with pytest.raises(SettingError, match="`embedding_dim` must be >= 4, got 3") as caught:
        SDML(**{**TINY, "embedding_dim": 3}).fit(
            feature_dataset.split("train"), feature_dataset.split("validation"), QUIET
        )
    assert "number of classes" in caught.value.expected
