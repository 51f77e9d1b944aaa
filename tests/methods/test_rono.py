"""RONO: the loss against loops, its gradient, its two regimes and its schedule."""

from typing import Any

import numpy as np
import pytest
import torch

from commonspace.data import Dataset
from commonspace.losses import multimodal_contrastive_loss, normalize_rows
from commonspace.methods import RONO
from commonspace.methods.rono import center_loss
from commonspace.networks.branches import BranchesConfig, BranchesNetwork, Counter
from commonspace.training import Batch, RunConfig

NO_DATA: Any = None
SIZES = {"image": 6, "text": 5}


def network() -> BranchesNetwork:
    backbones = {name: {"kind": "vectors", "size": size} for name, size in SIZES.items()}
    heads: dict[str, dict[str, Any]] = {
        "centers": {"kind": "prototypes", "count": 3},
        "classes": {"kind": "layers", "sizes": [3]},
        "epochs": {"kind": "counter"},
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return BranchesNetwork(BranchesConfig(backbones, 8, 4, heads=heads))


@pytest.mark.parametrize("epoch", [0, 2, 9])
def test_the_loss_equals_the_formula(epoch: int) -> None:
    draw = np.random.default_rng(1)
    present = {name: torch.from_numpy(draw.random(9) < 0.8) for name in SIZES}
    inputs = {
        name: torch.from_numpy(draw.normal(size=(int(present[name].sum()), size))).float()
        for name, size in SIZES.items()
    }
    labels = torch.from_numpy(draw.random((9, 3)) < 0.4).float()
    built = network()
    counter = built.heads["epochs"]
    assert isinstance(counter, Counter)
    v = min(epoch / 4, 1)
    with torch.no_grad():
        counter.value.fill_(epoch)
        terms = RONO(warm_up=5).batch_loss(built, Batch(inputs, present, labels), NO_DATA)
        centers = normalize_rows(built.heads["centers"]()).numpy()
        embeddings = {name: built.embed(name, x) for name, x in inputs.items()}
        errors = []
        center = []
        for name, u in embeddings.items():
            p = built.heads["classes"](u).softmax(dim=1).numpy()
            error = []
            for vector, shares, y in zip(u.numpy(), p, labels[present[name]].numpy(), strict=True):
                if y.any():
                    error.append(5 * (1 - shares @ y))
                    own = (centers[y > 0] @ vector).mean()
                    middle = np.exp(centers.mean(axis=0) @ vector)
                    first = (middle - np.exp(own * 4 / 3)) / 0.05
                    second = -abs((middle - np.exp(own) + 0.3) / 0.05)
                    center.append((1 - v) * first + v * second)
            errors.append(np.mean(error))
        contrast = float(multimodal_contrastive_loss(embeddings, present, 0.22))
    assert float(terms["L_center"]) == pytest.approx(np.mean(center), rel=1e-4)
    assert float(terms["L_class"]) == pytest.approx(sum(errors), rel=1e-4)
    assert float(terms["loss"]) == pytest.approx(np.mean(center) + sum(errors) + contrast, rel=1e-4)


@pytest.mark.parametrize("progress", [0.0, 0.4, 1.0])
def test_the_gradient_equals_finite_differences(progress: float) -> None:
    generator = torch.Generator().manual_seed(0)
    u, c = (
        torch.randn(3, 3, dtype=torch.float64, generator=generator, requires_grad=True)
        for _ in range(2)
    )
    labels = torch.eye(3, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda u, c: center_loss(u, labels, c, progress, threshold=0.3, scale=0.5), (u, c)
    )


def test_clean_samples_are_attracted_and_others_repelled() -> None:
    centers = torch.eye(2)
    labels = torch.tensor([[1.0, 0.0]])
    for vector, sign in (([1.0, 0.0], -1), ([0.0, 1.0], 1)):
        u = torch.tensor([vector], requires_grad=True)
        for progress, expected in ((0.0, -1), (1.0, sign)):
            loss = center_loss(u, labels, centers, progress, threshold=0.3, scale=1.0)
            (gradient,) = torch.autograd.grad(loss, u)
            assert np.sign(gradient[0, 0].item()) == expected


def test_epochs_are_counted(feature_dataset: Dataset) -> None:
    method = RONO(hidden_dim=8, embedding_dim=4, epochs=3, patience=None, learning_rate=1e-2)
    space = method.fit(feature_dataset, run=RunConfig())
    count = space.network.state_dict()["heads.epochs.value"].item()
    assert count == space.provenance["chosen"]["epoch"]
