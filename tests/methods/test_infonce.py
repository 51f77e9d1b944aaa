"""InfoNCE: the sum over pairs of modalities, the temperature, retrieval of exact pairs."""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from commonspace.callbacks import Callbacks
from commonspace.data import Dataset, Features
from commonspace.losses import info_nce_loss
from commonspace.methods import InfoNCE
from commonspace.methods.infonce import pair_vectors
from commonspace.networks.branches import BranchesConfig, BranchesNetwork
from commonspace.training import Batch, RunConfig

QUIET = RunConfig()


NO_DATA: Any = None


SIZES = {"image": 6, "text": 5, "sound": 4}


SCALE = {"scale": {"kind": "scale", "temperature": 0.2}}


SETTINGS: dict[str, Any] = {
    "hidden_dim": 64,
    "embedding_dim": 16,
    "learning_rate": 2e-3,
    "epochs": 40,
}


def network(heads: dict[str, Any] | None = None) -> BranchesNetwork:
    backbones = {name: {"kind": "vectors", "size": size} for name, size in SIZES.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return BranchesNetwork(
            BranchesConfig(backbones, hidden_dim=8, embedding_dim=4, heads=heads or {})
        )


def spread(vectors: Tensor, present: Tensor) -> dict[int, Tensor]:
    """Return the row of each sample that has the modality."""
    return dict(zip(present.nonzero()[:, 0].tolist(), vectors, strict=True))


@pytest.mark.parametrize("learned", [True, False])
def test_infonce_is_summed_over_the_pairs_of_modalities(learned: bool, gap_batch: Batch) -> None:
    built, given = network(SCALE if learned else None), gap_batch
    method = InfoNCE(temperature=0.2, learn_temperature=learned)
    terms = method.batch_loss(built, given, NO_DATA)
    rows = {name: spread(u, given.present[name]) for name, u in built(given.inputs).items()}
    expected = torch.zeros(())
    for one, other in combinations(SIZES, 2):
        both = sorted(rows[one].keys() & rows[other].keys())
        assert len(both) >= 2
        first, second = (torch.stack([rows[name][i] for i in both]) for name in (one, other))
        expected = expected + info_nce_loss(first, second, 1 / 5.0)
    torch.testing.assert_close(terms["loss"], expected)
    assert ("temperature" in terms) == learned


def test_a_batch_of_one_modality_costs_nothing_and_can_be_stepped(gap_batch: Batch) -> None:
    built, given = network(SCALE), gap_batch
    alone = Batch({"image": given.inputs["image"]}, given.present, given.labels)
    loss = InfoNCE(temperature=0.2).batch_loss(built, alone, NO_DATA)["loss"]
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0
    assert all(not p.grad.any() for p in built.branches.parameters() if p.grad is not None)


def test_infonce_finds_the_exact_pair_without_labels(two_views: Dataset) -> None:
    data = two_views
    space = InfoNCE(**SETTINGS).fit(data.split("train"), data.split("validation"), QUIET)
    test = data.split("test")
    scores = space.embed("a", test.columns["a"]) @ space.embed("b", test.columns["b"]).T
    own = np.arange(len(test))
    assert np.mean(scores.argmax(axis=1) == own) > 0.9  # chance is .01
    assert np.mean(scores.argmax(axis=0) == own) > 0.9


def test_the_temperature_is_learned_unless_it_is_fixed(two_views: Dataset) -> None:
    data = two_views
    parts = data.split("train"), data.split("validation")
    options: dict[str, Any] = {**SETTINGS, "epochs": 20, "temperature": 0.5}
    learned = InfoNCE(**options).fit(*parts, QUIET)
    held = InfoNCE(**options, learn_temperature=False).fit(*parts, QUIET)
    scale = learned.network.state_dict()["heads.scale.logarithm"].exp()
    assert scale > 2.01  # this data allows for sharper choices than it began with
    assert not [name for name in held.network.state_dict() if "heads" in name]


def test_vectors_of_pairs_are_means_over_the_modalities_of_a_sample(
    two_views: Dataset, witness: Callable[..., Any]
) -> None:
    """A sample that lacks a modality has the unit vector of the other."""
    train, validation = two_views.split("train"), two_views.split("validation")
    first = train.columns["a"]
    assert isinstance(first, Features)
    present = np.arange(len(train)) % 3 > 0
    gaps = replace(train, columns={**train.columns, "a": Features(first.values, present)})
    seen = witness()
    made = pair_vectors(gaps, validation, seed=1, callbacks=Callbacks([seen]))
    column = made.columns["pair"]
    assert isinstance(column, Features)
    space = InfoNCE(seed=1).fit(gaps, validation, QUIET)
    parts = {
        name: part.vectors / np.linalg.norm(part.vectors, axis=1, keepdims=True)
        for name, part in space.embed_dataset(gaps).items()
    }
    expected = parts["b"].copy()
    expected[present] = (expected[present] + parts["a"]) / 2
    np.testing.assert_allclose(column.values, expected, atol=1e-4)
    assert column.present.all()
    assert made.ids == train.ids
    assert seen.steps == 0  # of a training: it is one task, not two
