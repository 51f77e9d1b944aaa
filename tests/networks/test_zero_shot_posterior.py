"""The pool of posteriors and class names is that of its formula, and is saved."""

from pathlib import Path

import numpy as np
import pytest
import torch

import commonspace as cs
from commonspace.encoders import Vectors
from commonspace.networks import PosteriorConfig, PosteriorNetwork, ZeroShotPosteriorNetwork
from commonspace.networks.network import build_network, describe_network

CLASSES, SIZE = 4, 6


@pytest.fixture
def network() -> PosteriorNetwork:
    torch.manual_seed(0)
    config = PosteriorConfig(
        {name: {"kind": "vectors", "size": SIZE} for name in ("image", "text")},
        CLASSES,
        {"image": 5, "text": 5},
        hidden_dim=8,
        instance_dim=3,
    )
    return PosteriorNetwork(config).eval()


def drawn(rows: int, seed: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(rows, SIZE))).float()


def test_the_pool_is_that_of_its_formula(network: PosteriorNetwork) -> None:
    vectors, x = drawn(CLASSES, 1), drawn(5, 2)
    pools = {"image": (0.5, 3.0), "text": (1.0, 0.0)}
    extended = ZeroShotPosteriorNetwork.extend(network, vectors, pools)
    w, u = (each / each.norm(dim=1, keepdim=True) for each in (vectors, x))
    p = network.posterior("image", network.rescale("image", x))
    expected = p.sqrt() * (3 * u @ w.T).exp()
    expected /= expected.sum(dim=1, keepdim=True)
    found = extended.embed("image", x)
    scaled = found[:, :CLASSES] / (1 - network.config.mixture) ** 0.5
    torch.testing.assert_close(scaled, expected, rtol=1e-4, atol=1e-5)
    plain = network.embed("image", x)
    torch.testing.assert_close(found[:, CLASSES:-1], plain[:, CLASSES:-1])  # the instance block
    torch.testing.assert_close(extended.embed("text", x), network.embed("text", x))


def test_posteriors_of_zero_do_not_give_infinite_ones(network: PosteriorNetwork) -> None:
    kernel = network.kernel("image")
    kernel.bias += 1000 * torch.eye(CLASSES)[0]
    network.shares.zero_()
    extended = ZeroShotPosteriorNetwork.extend(
        network, drawn(CLASSES, 1), {"image": (0.25, 100.0), "text": (0.0, 1.0)}
    )
    assert extended.embed("image", drawn(5, 2)).isfinite().all()


def test_a_space_with_names_is_saved_and_loaded(network: PosteriorNetwork, tmp_path: Path) -> None:
    pools = {"image": (0.5, 3.0), "text": (0.0, 20.0)}
    extended = ZeroShotPosteriorNetwork.extend(network, drawn(CLASSES, 1), pools)
    description = describe_network(extended)
    assert description["kind"] == "zero-shot-posterior"
    assert isinstance(build_network(description), ZeroShotPosteriorNetwork)
    inputs = {name: Vectors(SIZE) for name in pools}
    cs.CommonSpace(extended, inputs, tuple("abcd"), {}).save(tmp_path / "run")
    loaded = cs.load(tmp_path / "run")
    for name in pools:
        items = drawn(7, 3).numpy()
        expected = cs.CommonSpace(extended, inputs, tuple("abcd"), {}).embed(name, items)
        np.testing.assert_allclose(loaded.embed(name, items), expected, atol=1e-6)
