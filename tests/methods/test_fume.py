"""FUME: the credibility and the loss against loops, their gradient, and the refusals."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

import commonspace as cs
from commonspace.data import Dataset
from commonspace.errors import SettingError
from commonspace.methods import FUME, TrainingData
from commonspace.methods.fume import category_credibility
from commonspace.networks.branches import BranchesNetwork, Orthonormal
from commonspace.training import Batch

NO_DATA: Any = None


def credibility(m: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Possibility and necessity of each class, as fuzzy set theory defines them."""
    result = np.empty(len(m))
    for k in range(len(m)):
        rivals = [m[j] for j in range(len(m)) if bool(y[j]) != bool(y[k])]
        result[k] = (m[k] + (1 - max(rivals, default=0.0))) / 2
    return result


def test_the_credibility_is_the_mean_of_possibility_and_necessity() -> None:
    draw = np.random.default_rng(0)
    m, y = draw.random((20, 5)), (draw.random((20, 5)) < 0.4).astype(float)
    y[~y.any(axis=1), 0] = 1
    y[0] = 1
    found = category_credibility(torch.from_numpy(m), torch.from_numpy(y)).numpy()
    expected = [credibility(*row) for row in zip(m, y, strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert found.min() >= 0
    assert found.max() <= 1


def test_the_gradient_equals_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    m = torch.rand(5, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    y = torch.eye(4, dtype=torch.float64)[[0, 1, 1, 2, 3]]
    assert torch.autograd.gradcheck(lambda x: category_credibility(x, y), (m,))


def test_the_loss_equals_the_formula(gap_batch: Batch) -> None:
    method = FUME(hidden_dim=8, embedding_dim=6, alpha=0.3)
    sizes = {name: {"kind": "vectors", "size": x.shape[1]} for name, x in gap_batch.inputs.items()}

    classes = gap_batch.labels.shape[1]
    train = SimpleNamespace(class_names=["class"] * classes)
    network = method.build_network(
        cast(TrainingData, SimpleNamespace(train=train, backbones=sizes))
    )
    assert isinstance(network, BranchesNetwork)
    head = network.heads["classes"]
    assert isinstance(head, Orthonormal)
    directions = head.matrix.detach().numpy()
    with torch.no_grad():
        terms = method.batch_loss(network, gap_batch, NO_DATA)
        items, errors = [], 0.0
        for name, x in gap_batch.inputs.items():
            u = network.embed(name, x).numpy()
            rows = gap_batch.present[name].nonzero()[:, 0].tolist()
            items += [(name, row, vector) for row, vector in zip(rows, u, strict=True)]
            norms = []
            for row, vector in zip(rows, u, strict=True):
                y = gap_batch.labels[row].numpy()
                if y.any():
                    m = np.maximum(vector @ directions, 0)
                    norms.append(float(np.linalg.norm(credibility(m, y) - y)))
            errors += float(np.mean(norms)) if norms else 0.0
    contrast = []
    for i, (name, row, z) in enumerate(items):
        others = [(n, r, np.exp(z @ v)) for j, (n, r, v) in enumerate(items) if j != i]
        same = [power for n, r, power in others if r == row and n != name]
        if same:
            contrast.append(-2 * np.log(sum(same) / sum(power for *_, power in others)))
    assert terms["classes"].item() == pytest.approx(errors, rel=1e-4)
    assert terms["loss"].item() == pytest.approx(errors + 0.3 * float(np.mean(contrast)), rel=1e-4)


def test_the_space_has_a_dimension_for_each_class(feature_dataset: Dataset) -> None:
    assert FUME(epochs=1).fit(feature_dataset, run=cs.RunConfig()).dimension == 4


def test_a_space_smaller_than_the_number_of_classes_is_refused(feature_dataset: Dataset) -> None:
    with pytest.raises(SettingError, match="`embedding_dim` must be >= 4, got 3"):
        FUME(embedding_dim=3).fit(feature_dataset, run=cs.RunConfig())
