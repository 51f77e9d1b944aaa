"""ALGCN: the graph of the classes and the loss against a plain computation."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from commonspace.data import Dataset
from commonspace.methods import ALGCN
from commonspace.methods.algcn import label_correlations
from commonspace.networks.branches import BranchesConfig, BranchesNetwork, LabelGraph
from commonspace.training import Batch

NO_DATA: Any = None
SIZES = {"image": 6, "text": 5}


def graph(adaptive: float = 0.5) -> LabelGraph:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = LabelGraph(4, classes=3, adaptive=adaptive)
    with torch.no_grad():
        head.fixed.copy_(torch.tensor([[1.0, 0.5, 0], [0.8, 1, 0], [0, 0, 1]]))
        head.adaptive.normal_(generator=torch.Generator().manual_seed(1))
    return head


def plain_classifiers(head: LabelGraph, adaptive: float) -> np.ndarray[Any, Any]:
    state = {name: value.numpy() for name, value in head.state_dict().items()}
    A = np.maximum(state["fixed"] + adaptive * state["adaptive"], 0)
    D = np.diag(A.sum(axis=1) ** -0.5)
    G = D @ A @ D
    H: np.ndarray[Any, Any] = state["codes"]
    for layer in range(3):
        H = G @ H @ state[f"layers.{layer}.weight"].T
        if layer < 2:
            H = np.where(H > 0, H, 0.2 * H)
    return H


def test_classifiers_are_a_graph_convolution_of_the_codes() -> None:
    head = graph()
    with torch.no_grad():
        np.testing.assert_allclose(head().numpy(), plain_classifiers(head, 0.5), rtol=1e-4)


def test_without_edges_each_class_depends_on_its_own_code() -> None:
    head = graph(adaptive=0.0)
    with torch.no_grad():
        head.fixed.copy_(torch.eye(3))
        before = head().clone()
        head.codes[0] += 1
        changed = (head() != before).any(dim=1)
    assert changed.tolist() == [True, False, False]


def test_correlations_are_shares_of_common_samples(feature_dataset: Dataset) -> None:
    labels = np.zeros((80, 4), dtype=bool)
    labels[:, 0] = True
    labels[:20, 1] = True
    labels[10:20, 2] = True
    A = label_correlations(replace(feature_dataset, labels=labels), 0.3)
    expected = torch.tensor([[1.0, 0, 0, 0], [1, 1, 0.5, 0], [1, 1, 1, 0], [0, 0, 0, 1]])
    torch.testing.assert_close(A, expected)


def test_the_loss_equals_the_formula() -> None:
    draw = np.random.default_rng(1)
    present = {name: torch.from_numpy(draw.random(9) < 0.8) for name in SIZES}
    inputs = {
        name: torch.from_numpy(draw.normal(size=(int(present[name].sum()), size))).float()
        for name, size in SIZES.items()
    }
    labels = torch.from_numpy(draw.random((9, 3)) < 0.4).float()
    backbones = {name: {"kind": "vectors", "size": size} for name, size in SIZES.items()}
    heads: dict[str, dict[str, Any]] = {
        "classes": {"kind": "label_graph", "classes": 3, "adaptive": 0.5}
    }
    network = BranchesNetwork(BranchesConfig(backbones, 8, 4, activate_last=True, heads=heads))
    head = network.heads["classes"]
    assert isinstance(head, LabelGraph)
    with torch.no_grad():
        head.fixed.copy_(torch.eye(3))
        terms = ALGCN(alpha=0.3).batch_loss(network, Batch(inputs, present, labels), NO_DATA)
        W = plain_classifiers(head, 0.5)
        W = W / np.linalg.norm(W, axis=1, keepdims=True)
        errors, items = 0.0, []
        for name, x in inputs.items():
            u, y = network.embed(name, x).numpy(), labels[present[name]].numpy()
            known = y.any(axis=1)
            u, y = u[known], y[known]
            items.append((u, y))
            errors += np.linalg.norm(u @ W.T - y, axis=1).mean()
        common = 0.0
        for one, other in ((0, 0), (0, 1), (1, 1)):
            G = items[one][0] @ items[other][0].T / 2
            S = items[one][1] @ items[other][1].T > 0
            common += (np.log1p(np.exp(G)) - S * G).mean()
    assert float(terms["labels"]) == pytest.approx(errors, rel=1e-4)
    assert float(terms["loss"]) == pytest.approx(errors + 0.3 * common, rel=1e-4)
