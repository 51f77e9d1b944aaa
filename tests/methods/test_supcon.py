"""Supervised contrast: the samples that its loss takes, and classes that it draws together."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from commonspace.data import Dataset
from commonspace.losses import supervised_contrastive_loss
from commonspace.methods import SupervisedContrastive
from commonspace.networks.branches import BranchesConfig, BranchesNetwork
from commonspace.training import Batch, RunConfig

QUIET = RunConfig()


NO_DATA: Any = None


SIZES = {"image": 6, "text": 5, "sound": 4}


SETTINGS: dict[str, Any] = {
    "hidden_dim": 64,
    "embedding_dim": 16,
    "learning_rate": 2e-3,
    "epochs": 40,
}


def network() -> BranchesNetwork:
    backbones = {name: {"kind": "vectors", "size": size} for name, size in SIZES.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return BranchesNetwork(BranchesConfig(backbones, hidden_dim=8, embedding_dim=4))


def spread(vectors: Tensor, present: Tensor) -> dict[int, Tensor]:
    """Return the row of each sample that has the modality."""
    return dict(zip(present.nonzero()[:, 0].tolist(), vectors, strict=True))


def test_supervised_contrast_takes_all_labelled_samples_of_all_modalities(gap_batch: Batch) -> None:
    built, given = network(), gap_batch
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


def test_supervised_contrast_draws_classes_together_in_all_modalities(two_views: Dataset) -> None:
    data = two_views
    train = data.split("train")
    method = SupervisedContrastive(**SETTINGS, temperature=0.5)
    space = method.fit(train, data.split("validation"), QUIET)
    vectors = np.concatenate([space.embed(name, train.columns[name]) for name in ("a", "b")])
    classes = np.tile(train.labels.argmax(axis=1), 2)
    alike = classes[:, None] == classes
    cosines = vectors @ vectors.T
    assert cosines[alike].mean() > 0.7
    assert cosines[~alike].mean() < 0
