"""Prototype learning: the loss against loops, its gradient, and a known value."""

from typing import Any

import numpy as np
import pytest
import torch

from commonspace.methods import PrototypeLearning
from commonspace.methods.prototype import prototype_loss
from commonspace.networks.branches import BranchesConfig, BranchesNetwork
from commonspace.training import Batch

NO_DATA: Any = None
SIZES = {"image": 6, "text": 5}


def test_the_loss_equals_the_formula() -> None:
    draw = np.random.default_rng(1)
    present = {name: torch.from_numpy(draw.random(9) < 0.8) for name in SIZES}
    inputs = {
        name: torch.from_numpy(draw.normal(size=(int(present[name].sum()), size))).float()
        for name, size in SIZES.items()
    }
    labels = torch.from_numpy(draw.random((9, 3)) < 0.4).float()
    backbones = {name: {"kind": "vectors", "size": size} for name, size in SIZES.items()}
    heads = {"classes": {"kind": "prototypes", "count": 3}}
    network = BranchesNetwork(BranchesConfig(backbones, 8, 4, shared=True, heads=heads))
    with torch.no_grad():
        network.heads["classes"]().mul_(3.0)
        method = PrototypeLearning(sharpness=2.5, compactness=0.3)
        loss = method.batch_loss(network, Batch(inputs, present, labels), NO_DATA)["loss"].item()
        centers = network.heads["classes"]().numpy()
        centers = centers / np.linalg.norm(centers, axis=1, keepdims=True)
        expected = 0.0
        for name, x in inputs.items():
            terms = []
            for u, y in zip(network.embed(name, x).numpy(), labels[present[name]], strict=True):
                if y.any():
                    squares = ((u - centers) ** 2).sum(axis=1)
                    p = np.exp(-2.5 * squares)
                    share = y.numpy() / y.numpy().sum()
                    terms.append(share @ (0.3 * squares - np.log(p / p.sum())))
            expected += float(np.mean(terms))
    assert loss == pytest.approx(expected, rel=1e-5)


def test_the_gradient_equals_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    u, c = (
        torch.randn(4, 3, dtype=torch.float64, generator=generator, requires_grad=True)
        for _ in range(2)
    )
    labels = torch.eye(4, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda u, c: prototype_loss(u, labels, c, 2.0, 0.3), (u, c))


def test_an_item_between_all_prototypes_has_equal_probabilities() -> None:
    u = torch.tensor([[0.0, 0.0, 1.0]])
    labels = torch.tensor([[1.0, 0.0]])
    loss = prototype_loss(u, labels, torch.eye(3)[:2], 7.0, 0.5)
    assert loss.item() == pytest.approx(np.log(2) + 0.5 * 2, rel=1e-5)
