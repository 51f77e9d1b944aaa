"""MRL: both losses against loops, their gradients, and what wrong labels do."""

from typing import Any

import numpy as np
import pytest
import torch

import commonspace as cs
from commonspace.data import Dataset, Features
from commonspace.methods import MRL
from commonspace.methods.mrl import robust_clustering_loss
from commonspace.networks.branches import BranchesConfig, BranchesNetwork
from commonspace.training import Batch, RunConfig

NO_DATA: Any = None
SIZES = {"image": 6, "text": 5, "audio": 3}


def batch(n: int = 9, classes: int = 4) -> Batch:
    draw = np.random.default_rng(1)
    present = {name: torch.from_numpy(draw.random(n) < 0.8) for name in SIZES}
    inputs = {
        name: torch.from_numpy(draw.normal(size=(int(present[name].sum()), size))).float()
        for name, size in SIZES.items()
    }
    return Batch(inputs, present, torch.from_numpy(draw.random((n, classes)) < 0.3).float())


def test_the_loss_equals_the_formula() -> None:
    samples = batch()
    backbones = {name: {"kind": "vectors", "size": size} for name, size in SIZES.items()}
    heads = {"classes": {"kind": "prototypes", "count": 4}}
    network = BranchesNetwork(BranchesConfig(backbones, 8, 6, depth=2, heads=heads))
    t, b = 0.4, 0.6
    with torch.no_grad():
        loss = MRL(temperature=t, beta=b).batch_loss(network, samples, NO_DATA)["loss"].item()
        prototypes = network.heads["classes"]().numpy()
        items = []
        robust = 0.0
        for name, x in samples.inputs.items():
            u = network.embed(name, x).numpy()
            rows = samples.present[name].nonzero()[:, 0].tolist()
            items += [(name, row, vector) for row, vector in zip(rows, u, strict=True)]
            terms = []
            for row, vector in zip(rows, u, strict=True):
                y = samples.labels[row].numpy()
                if y.any() and not y.all():
                    powers = np.exp(prototypes @ vector / t)
                    terms.append(np.log(1 - (powers * y).sum() / powers.sum()))
            robust += float(np.mean(terms))
    contrast = []
    for i, (name, row, z) in enumerate(items):
        others = [(m, r, np.exp(z @ v / t)) for j, (m, r, v) in enumerate(items) if j != i]
        same = [power for m, r, power in others if r == row and m != name]
        if same:
            contrast.append(-np.log(sum(same) / sum(power for *_, power in others)))
    expected = b * robust + (1 - b) * 2 * float(np.mean(contrast))
    assert loss == pytest.approx(expected, rel=1e-5)


def test_the_gradient_equals_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    cosines = torch.randn(5, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    labels = torch.eye(4, dtype=torch.float64)[[0, 1, 1, 2, 3]]
    assert torch.autograd.gradcheck(lambda x: robust_clustering_loss(x, labels, 0.5), (cosines,))


def test_a_sample_that_contradicts_its_label_has_a_small_gradient() -> None:
    """The cross-entropy does the opposite."""
    cosines = torch.tensor([[4.0, 0.0, 0.0], [-4.0, 0.0, 0.0]], requires_grad=True)
    labels = torch.tensor([[1.0, 0.0, 0.0]]).repeat(2, 1)
    (gradient,) = torch.autograd.grad(robust_clustering_loss(cosines, labels, 1.0), cosines)
    fits, contradicts = gradient[:, 0].abs()
    assert contradicts < 0.05 * fits
    p = cosines.detach().softmax(dim=1)[:, 0]
    torch.testing.assert_close(gradient[:, 0], -p / 2)


def test_samples_with_every_label_cost_nothing() -> None:
    assert robust_clustering_loss(torch.ones(2, 2), torch.ones(2, 2), 1.0) == 0


def test_labels_help_although_most_are_wrong() -> None:
    """Symmetric noise, as in the paper: 60 % of the training labels are drawn again.

    The contrastive loss alone, without any label, is the baseline; with L_r of the wrong sign the
    gain is below 0.01.
    """
    draw = np.random.default_rng(3)
    n, classes = 600, 4
    labels = np.eye(classes, dtype=bool)[np.arange(n) % classes]
    latent = labels + 0.4 * draw.normal(size=(n, classes))
    columns = {
        name: Features(latent @ draw.normal(size=(classes, 8)) + 0.3 * draw.normal(size=(n, 8)))
        for name in ("image", "text")
    }
    splits = np.repeat(["train", "validation", "test"], [300, 100, 200])
    wrong = (splits == "train") & (draw.random(n) < 0.6)
    labels_of_training = labels.copy()
    labels_of_training[wrong] = np.eye(classes, dtype=bool)[
        draw.integers(classes, size=wrong.sum())
    ]
    data = Dataset(
        name="noisy",
        ids=tuple(map(str, range(n))),
        columns=columns,
        labels=labels_of_training,
        class_names=tuple("abcd"),
        splits=splits,
    )
    scores = {}
    for beta in (0.0, 0.7):
        method = MRL(hidden_dim=32, embedding_dim=16, epochs=30, learning_rate=1e-3, beta=beta)
        space = method.fit(data, run=RunConfig())
        scores[beta] = cs.evaluate(space, data.split("test"))["average"]["map"]
    assert scores[0.7] > scores[0.0] + 0.02
