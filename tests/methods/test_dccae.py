"""DCCAE: the loss, its gradient, and its special case DCCA."""

from typing import Any

import numpy as np
import pytest
import torch

from commonspace.data import Dataset
from commonspace.losses import total_correlation, unexplained_variance
from commonspace.methods import DCCA, DCCAE
from commonspace.networks.branches import BranchesConfig, BranchesNetwork
from commonspace.training import Batch, RunConfig

NO_DATA: Any = None
SETTINGS: dict[str, Any] = {
    "hidden_dim": 16,
    "embedding_dim": 4,
    "learning_rate": 3e-3,
    "epochs": 6,
    "batch_size": 20,
}
SIZES = {"image": 6, "text": 5}


def test_weight_zero_is_dcca_bit_for_bit(feature_dataset: Dataset) -> None:
    spaces = [
        method.fit(feature_dataset, run=RunConfig())
        for method in (DCCA(**SETTINGS), DCCAE(**SETTINGS, reconstruction=0.0))
    ]
    first, second = (space.network.state_dict() for space in spaces)
    assert list(first) == list(second)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_the_loss_equals_the_formula() -> None:
    draw = np.random.default_rng(0)
    present = {name: torch.from_numpy(draw.random(40) < 0.8) for name in SIZES}
    inputs = {
        name: torch.from_numpy(draw.normal(3.0, 2.0, (int(present[name].sum()), size))).float()
        for name, size in SIZES.items()
    }
    backbones = {name: {"kind": "vectors", "size": size} for name, size in SIZES.items()}
    network = BranchesNetwork(BranchesConfig(backbones, 8, 4, decoded=True, projected=4))
    batch = Batch(inputs, present, torch.zeros(40, 2))
    with torch.no_grad():
        terms = DCCAE(reconstruction=0.7).batch_loss(network, batch, NO_DATA)
        outputs = network(inputs)
        expected = -float(total_correlation(*batch.pairs(outputs, "image", "text"), ridge=0.1))
        for name, x in inputs.items():
            error = (x - network.decode(name, outputs[name])).numpy() ** 2
            expected += 0.7 * error.sum() / (len(x) * x.numpy().var(axis=0).sum())
    assert float(terms["loss"]) == pytest.approx(expected, rel=1e-5)


def test_training_lowers_the_reconstruction_error(feature_dataset: Dataset) -> None:
    options: dict[str, Any] = {**SETTINGS, "epochs": 40, "patience": None, "reconstruction": 10.0}
    errors = []
    for epochs in (1, 40):
        method = DCCAE(**{**options, "epochs": epochs})
        network = method.fit(feature_dataset, run=RunConfig()).network
        assert isinstance(network, BranchesNetwork)
        x = torch.from_numpy(feature_dataset.columns["image"].values)  # type: ignore[attr-defined]
        with torch.no_grad():
            decoded = network.decode("image", network.represent("image", x))
        errors.append(float(unexplained_variance(x, decoded)))
    assert errors[1] < errors[0]
