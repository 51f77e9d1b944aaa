"""Ensemble probe: the probe against least squares, members that are independent, and the loss."""

from typing import Any

import numpy as np
import pytest
import torch

import commonspace as cs
from commonspace.data import Dataset
from commonspace.methods import EnsembleProbe
from commonspace.methods.ensemble_probe import ridge_probe
from commonspace.networks.ensemble import EnsembleConfig, EnsembleNetwork
from commonspace.training import Batch

NO_DATA: Any = None


def test_the_probe_is_ridge_regression() -> None:
    """Against the normal equations of the augmented least-squares problem."""
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(40, 6)) + 3, np.eye(3, dtype=bool)[np.arange(40) % 3]
    r = 0.3
    probe = ridge_probe(x, y, r)
    z = x - x.mean(axis=0)
    penalty = r * np.trace(z.T @ z / 40) / 6
    augmented = np.vstack([np.sqrt((1 - r) / 40) * z, np.sqrt(penalty) * np.eye(6)])
    target = np.vstack([y / np.sqrt((1 - r) * 40), np.zeros((6, 3))])
    expected = np.linalg.lstsq(augmented, target - 0.0, rcond=None)[0]
    np.testing.assert_allclose(probe.matrix, expected, atol=1e-10)
    np.testing.assert_allclose(probe.shift, x.mean(axis=0))


def test_the_loss_is_the_sum_over_members_and_modalities(gap_batch: Batch) -> None:
    sizes = {name: {"kind": "vectors", "size": x.shape[1]} for name, x in gap_batch.inputs.items()}
    network = EnsembleNetwork(EnsembleConfig(sizes, 3, members=2, hidden_dim=8, member_dim=4))
    with torch.no_grad():
        loss = EnsembleProbe().batch_loss(network, gap_batch, NO_DATA)["loss"].item()
        expected = 0.0
        for name, x in gap_batch.inputs.items():
            labels = gap_batch.labels[gap_batch.present[name]].numpy()
            for member, u in enumerate(network.outputs(name, x)):
                logits = network.logits(member, u).numpy().astype(np.float64)
                values = [
                    -np.mean((row - np.log(np.exp(row).sum()))[y > 0])
                    for row, y in zip(logits, labels, strict=True)
                    if y.any()
                ]
                expected += float(np.mean(values)) if values else 0.0
    assert loss == pytest.approx(expected, rel=1e-5)


def test_a_member_is_what_it_is_alone(feature_dataset: Dataset) -> None:
    """The first member has the same weights after training with others as without them."""
    spaces = [
        EnsembleProbe(members=k, epochs=1, hidden_dim=8, embedding_dim=4).fit(
            feature_dataset, run=cs.RunConfig()
        )
        for k in (1, 3)
    ]
    networks = [space.network for space in spaces]
    assert all(isinstance(network, EnsembleNetwork) for network in networks)
    alone, together = (network.state_dict() for network in networks)
    for key, value in alone.items():
        if key.startswith("members.0."):
            torch.testing.assert_close(value, together[key])
    first, second = (together[f"members.{number}.last.1.weight"] for number in (0, 1))
    assert not torch.equal(first, second)


def test_the_representation_has_unit_length() -> None:
    sizes = {"image": {"kind": "vectors", "size": 3}}
    network = EnsembleNetwork(EnsembleConfig(sizes, 2, members=3, hidden_dim=8, member_dim=4))
    z = network.represent("image", torch.randn(5, 3))
    assert z.shape == (5, 12)
    torch.testing.assert_close(z.norm(dim=1), torch.ones(5))
