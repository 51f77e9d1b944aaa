"""DCMH: the loss against a loop, its gradient, and codes that rank by Hamming distance."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import commonspace as cs
from commonspace.data import Dataset
from commonspace.methods import DCMH
from commonspace.methods.dcmh import pairwise_likelihood_loss
from commonspace.networks.branches import BranchesConfig
from commonspace.networks.hashing import HashingNetwork
from commonspace.training import Batch

DATA: Any = SimpleNamespace(train=range(40))  # 40 training samples


def test_the_loss_equals_the_formula(gap_batch: Batch) -> None:
    sizes = {name: {"kind": "vectors", "size": x.shape[1]} for name, x in gap_batch.inputs.items()}
    network = HashingNetwork(BranchesConfig(sizes, 8, 6))
    n, k = len(gap_batch.labels), 6
    with torch.no_grad():
        terms = DCMH(quantization=2.0, balance=3.0).batch_loss(network, gap_batch, DATA)
        outputs = {name: f.numpy() for name, f in network(gap_batch.inputs).items()}
    rows = {name: gap_batch.present[name].nonzero()[:, 0].tolist() for name in outputs}
    labels = gap_batch.labels.numpy()
    total = np.zeros((n, k))
    for name, f in outputs.items():
        for row, vector in zip(rows[name], f, strict=True):
            total[row] += vector
    codes = np.where(total >= 0, 1, -1)
    likelihood = 0.0
    names = list(outputs)
    for a in range(len(names)):
        for b in range(a):
            values = []
            for i, f in zip(rows[names[a]], outputs[names[a]], strict=True):
                for j, g in zip(rows[names[b]], outputs[names[b]], strict=True):
                    if labels[i].any() and labels[j].any():
                        t = float(f @ g) / 2
                        s = float((labels[i] * labels[j]).any())
                        values.append(np.log(1 + np.exp(t)) - s * t)
            likelihood += float(np.mean(values)) if values else 0.0
    quantization = sum(
        float(np.mean(((codes[rows[name]] - f) ** 2).sum(axis=1))) for name, f in outputs.items()
    )
    balance = sum(float((f.mean(axis=0) ** 2).sum()) for f in outputs.values())
    expected = likelihood + 2 * quantization / 40 + 3 * balance
    assert terms["loss"].item() == pytest.approx(expected, rel=1e-5)


def test_the_gradient_equals_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    f, g = (
        torch.randn(n, 3, dtype=torch.float64, generator=generator, requires_grad=True)
        for n in (4, 5)
    )
    similar = (torch.rand(4, 5, generator=generator) < 0.5).double()
    assert torch.autograd.gradcheck(lambda a, b: pairwise_likelihood_loss(a, b, similar), (f, g))


def test_a_large_inner_product_is_finite() -> None:
    """A logarithm of 1 + exp overflows at 710."""
    f = torch.full((1, 1), 1e3, dtype=torch.float64)
    assert pairwise_likelihood_loss(f, f, torch.ones(1, 1)).item() == pytest.approx(0.0)
    assert pairwise_likelihood_loss(f, f, torch.zeros(1, 1)).item() == pytest.approx(5e5)


def test_embeddings_are_codes_whose_inner_product_is_the_hamming_distance(
    feature_dataset: Dataset, tmp_path: Path
) -> None:
    method = DCMH(epochs=3, hidden_dim=16, embedding_dim=12)
    space = method.fit(feature_dataset, run=cs.RunConfig())
    space.save(tmp_path / "run")
    loaded = cs.load(tmp_path / "run")
    test = feature_dataset.split("test")
    codes = {name: loaded.embed(name, test.columns[name]) for name in test.modalities}
    for vectors in codes.values():
        np.testing.assert_allclose(np.abs(vectors), 12**-0.5, rtol=1e-6)
    image, text = codes.values()
    hamming = ((image[:, None] > 0) != (text[None, :] > 0)).sum(axis=2)
    np.testing.assert_allclose(image @ text.T, 1 - 2 * hamming / 12, atol=1e-6)


def test_a_code_has_one_bit_a_number() -> None:
    sizes = {"image": {"kind": "vectors", "size": 3}}
    assert HashingNetwork(BranchesConfig(sizes, 4, 64)).bytes_per_item == 8
    assert HashingNetwork(BranchesConfig(sizes, 4, 9)).bytes_per_item == 2
