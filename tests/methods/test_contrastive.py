"""InfoNCE and supervised contrast: what their objectives sum, and what they learn."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from commonspace.data import Dataset, Features
from commonspace.losses import info_nce_loss, supervised_contrastive_loss
from commonspace.methods import InfoNCE, SupervisedContrastive
from commonspace.networks.branches import BranchesConfig, BranchesNetwork
from commonspace.training import Batch, RunConfig

QUIET = RunConfig()
NO_DATA: Any = None
SIZES = {"image": 6, "text": 5, "sound": 4}
SCALE = {"scale": {"kind": "scale", "temperature": 0.2}}


def network(heads: dict[str, Any] | None = None) -> BranchesNetwork:
    backbones = {name: {"kind": "vectors", "size": size} for name, size in SIZES.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return BranchesNetwork(
            BranchesConfig(backbones, hidden_dim=8, embedding_dim=4, heads=heads or {})
        )


def batch(seed: int = 0, n: int = 9) -> Batch:
    """Return samples with gaps in every modality, of one, two or no classes."""
    draw = np.random.default_rng(seed)
    present = {name: torch.from_numpy(draw.random(n) < 0.7) for name in SIZES}
    inputs = {
        name: torch.from_numpy(draw.normal(size=(int(present[name].sum()), size))).float()
        for name, size in SIZES.items()
    }
    return Batch(inputs, present, torch.from_numpy(draw.random((n, 3)) < 0.4).float())


def spread(vectors: Tensor, present: Tensor) -> dict[int, Tensor]:
    """Return the row of each sample that has the modality."""
    return dict(zip(present.nonzero()[:, 0].tolist(), vectors, strict=True))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("learned", [True, False])
def test_infonce_is_summed_over_the_pairs_of_modalities(seed: int, learned: bool) -> None:
    built, given = network(SCALE if learned else None), batch(seed)
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


@pytest.mark.parametrize("seed", range(4))
def test_supervised_contrast_takes_all_labelled_samples_of_all_modalities(seed: int) -> None:
    built, given = network(), batch(seed)
    loss = SupervisedContrastive(temperature=0.5).batch_loss(built, given, NO_DATA)["loss"]
    vectors, labels = [], []
    for name, u in built(given.inputs).items():
        for i, row in spread(u, given.present[name]).items():
            if given.labels[i].any():
                vectors.append(row)
                labels.append(given.labels[i])
    assert len(vectors) < sum(map(len, given.inputs.values()))
    expected = supervised_contrastive_loss(torch.stack(vectors), torch.stack(labels), 0.5)
    torch.testing.assert_close(loss, expected)


def test_a_batch_of_one_modality_costs_nothing_and_can_be_stepped() -> None:
    built, given = network(SCALE), batch()
    alone = Batch({"image": given.inputs["image"]}, given.present, given.labels)
    loss = InfoNCE(temperature=0.2).batch_loss(built, alone, NO_DATA)["loss"]
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0
    assert all(not p.grad.any() for p in built.branches.parameters() if p.grad is not None)


def two_views(n: int = 400) -> Dataset:
    """Return two noisy nonlinear views of a point in eight dimensions; its octant is its class."""
    draw = np.random.default_rng(3)
    point = draw.normal(size=(n, 8))
    mixes: list[NDArray[np.float64]] = [draw.normal(size=(8, 20)) for _ in range(2)]
    views = [np.tanh(point @ mix / 2) + draw.normal(size=(n, 20)) / 20 for mix in mixes]
    octant = (point[:, :3] > 0) @ np.array([4, 2, 1])
    return Dataset(
        name="views",
        ids=tuple(map(str, range(n))),
        columns={name: Features(view) for name, view in zip(("a", "b"), views, strict=True)},
        labels=np.eye(8, dtype=bool)[octant],
        class_names=tuple(map(str, range(8))),
        splits=np.repeat(["train", "validation", "test"], [n - 200, 100, 100]),
    )


SETTINGS: dict[str, Any] = {
    "hidden_dim": 64,
    "embedding_dim": 16,
    "learning_rate": 2e-3,
    "epochs": 40,
}


def test_infonce_finds_the_exact_pair_without_labels() -> None:
    data = two_views()
    space = InfoNCE(**SETTINGS).fit(data.split("train"), data.split("validation"), QUIET)
    test = data.split("test")
    scores = space.embed("a", test.columns["a"]) @ space.embed("b", test.columns["b"]).T
    own = np.arange(len(test))
    assert np.mean(scores.argmax(axis=1) == own) > 0.9  # chance is .01
    assert np.mean(scores.argmax(axis=0) == own) > 0.9


def test_the_temperature_is_learned_unless_it_is_fixed() -> None:
    data = two_views(300)
    parts = data.split("train"), data.split("validation")
    options: dict[str, Any] = {**SETTINGS, "epochs": 20, "temperature": 0.5}
    learned = InfoNCE(**options).fit(*parts, QUIET)
    held = InfoNCE(**options, learn_temperature=False).fit(*parts, QUIET)
    scale = learned.network.state_dict()["heads.scale.logarithm"].exp()
    assert scale > 2.01  # this data allows for sharper choices than it began with
    assert not [name for name in held.network.state_dict() if "heads" in name]


def test_supervised_contrast_draws_classes_together_in_all_modalities() -> None:
    data = two_views()
    train = data.split("train")
    method = SupervisedContrastive(**SETTINGS, temperature=0.5)
    space = method.fit(train, data.split("validation"), QUIET)
    vectors = np.concatenate([space.embed(name, train.columns[name]) for name in ("a", "b")])
    classes = np.tile(train.labels.argmax(axis=1), 2)
    alike = classes[:, None] == classes
    cosines = vectors @ vectors.T
    assert cosines[alike].mean() > 0.7
    assert cosines[~alike].mean() < 0
