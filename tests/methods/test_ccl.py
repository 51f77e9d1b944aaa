"""CCL: the loss against loops, its gradient, and its terms."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch

from commonspace.methods import CCL
from commonspace.methods.ccl import pairwise_loss
from commonspace.networks.branches import BranchesConfig, BranchesNetwork
from commonspace.training import Batch

NO_DATA: Any = None
SIZES = {"image": 6, "text": 5, "audio": 3}
N, CLASSES = 9, 3


def network() -> BranchesNetwork:
    backbones = {name: {"kind": "vectors", "size": size} for name, size in SIZES.items()}
    heads = {"classes": {"kind": "layers", "sizes": [CLASSES]}}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return BranchesNetwork(BranchesConfig(backbones, 8, 4, depth=2, decoded=True, heads=heads))


def batch() -> Batch:
    draw = np.random.default_rng(1)
    present = {name: torch.from_numpy(draw.random(N) < 0.8) for name in SIZES}
    inputs = {
        name: torch.from_numpy(draw.normal(size=(int(present[name].sum()), size))).float()
        for name, size in SIZES.items()
    }
    return Batch(inputs, present, torch.from_numpy(draw.random((N, CLASSES)) < 0.4).float())


def test_the_loss_equals_the_formula() -> None:
    built, samples = network(), batch()
    settings: dict[str, float] = {"pairwise": 0.7, "reconstruction": 0.3, "correlation": 0.2}
    with torch.no_grad():
        terms = CCL(**settings, margin=1.5).batch_loss(built, samples, NO_DATA)  # type: ignore[arg-type]
        expected = dict.fromkeys(("L_class", "L_pair", "L_rec", "L_corr"), 0.0)
        items: dict[str, dict[int, np.ndarray[Any, Any]]] = {}
        for name, x in samples.inputs.items():
            u = built.embed(name, x)
            rows = samples.present[name].nonzero()[:, 0].tolist()
            items[name] = dict(zip(rows, u.numpy(), strict=True))
            logs = built.heads["classes"](u).log_softmax(dim=1).numpy()
            y = samples.labels[rows].numpy()
            known = y.any(axis=1)
            shares = y[known] / y[known].sum(axis=1, keepdims=True)
            expected["L_class"] -= (logs[known] * shares).sum(axis=1).mean()
            error = (x - built.decode(name, u)).numpy() ** 2
            expected["L_rec"] += error.sum() / (x.numpy().var(axis=0).sum() * len(x))
    labels = samples.labels.numpy()
    for one, other in combinations(items, 2):
        pairs = []
        for i, first in items[one].items():
            for j, second in items[other].items():
                if labels[i].any() and labels[j].any():
                    square = ((first - second) ** 2).sum()
                    pairs.append(square if labels[i] @ labels[j] else max(0, 1.5 - square))
        expected["L_pair"] += np.mean(pairs)
        both = items[one].keys() & items[other].keys()
        expected["L_corr"] += np.mean(
            [((items[one][i] - items[other][i]) ** 2).sum() for i in both]
        )
    for name, value in expected.items():
        assert float(terms[name]) == pytest.approx(value, rel=1e-4), name
    total = (
        expected["L_class"]
        + 0.7 * expected["L_pair"]
        + 0.3 * expected["L_rec"]
        + 0.2 * expected["L_corr"]
    )
    assert float(terms["loss"]) == pytest.approx(total, rel=1e-4)


def test_the_gradient_equals_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    u, v = (
        torch.randn(4, 3, dtype=torch.float64, generator=generator, requires_grad=True)
        for _ in range(2)
    )
    similar = torch.eye(4, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda u, v: pairwise_loss(u, v, similar, 1.3), (u, v))


def test_without_weights_only_classes_are_trained() -> None:
    built = network()
    method = CCL(pairwise=0.0, reconstruction=0.0, correlation=0.0)
    terms = method.batch_loss(built, batch(), NO_DATA)
    assert terms["loss"].item() == terms["L_class"].item()


def test_items_beyond_the_margin_have_no_gradient() -> None:
    u = torch.tensor([[1.0, 0.0]], requires_grad=True)
    loss = pairwise_loss(u, torch.tensor([[-1.0, 0.0]]), torch.zeros(1, 1), 1.0)
    (gradient,) = torch.autograd.grad(loss, u)
    assert not gradient.any()
