"""Linear network: against float64, and built again from its config."""

import numpy as np
import pytest
import torch

from commonspace.networks.linear import AffineMap, LinearConfig, LinearNetwork

SIZES = {"image": 6, "type": 5, "sound.wav": 4}


def maps(generator: np.random.Generator, dimension: int = 3) -> dict[str, AffineMap]:
    return {
        name: AffineMap(
            generator.normal(size=size),
            generator.normal(size=(size, dimension)),
            generator.normal(size=dimension),
        )
        for name, size in SIZES.items()
    }


@pytest.mark.parametrize("normalized", [True, False])
@pytest.mark.parametrize("softmax", [True, False])
def test_vectors_equal_the_formula_in_float64(softmax: bool, normalized: bool) -> None:
    generator = np.random.default_rng(0)
    given = maps(generator)
    network = LinearNetwork.from_maps(
        given, "softmax" if softmax else "identity", normalized=normalized
    ).eval()
    for name, one in given.items():
        x = generator.normal(size=(7, SIZES[name])).astype(np.float32)
        assert one.bias is not None
        u = (x.astype(np.float64) - one.shift) @ one.matrix + one.bias
        if softmax:
            u = np.exp(u) / np.exp(u).sum(axis=1, keepdims=True)
        if normalized:
            u = u / np.sqrt((u * u).sum(axis=1, keepdims=True))
        found = network.embed(name, torch.from_numpy(x))
        assert found.dtype == torch.float32
        np.testing.assert_allclose(found.numpy(), u, atol=2e-5)


def test_features_far_from_zero_keep_their_digits() -> None:
    """The shift is subtracted before the product, where float32 loses nothing."""
    shift, step = 4096.0, 1 / 1024
    one = AffineMap(np.full(2, shift), np.array([[1.0], [1024.0]]))
    network = LinearNetwork.from_maps({"far": one}, normalized=False)
    x = torch.tensor([[shift, shift + step], [shift + step, shift]])
    assert network.embed("far", x).tolist() == [
        [pytest.approx(1, rel=1e-5)],
        [pytest.approx(step, rel=1e-5)],
    ]


def test_a_missing_bias_is_zero_and_nothing_is_trained() -> None:
    network = LinearNetwork.from_maps({"a": AffineMap(np.ones(2), np.eye(2))})
    assert not network.embed("a", torch.ones(1, 2)).any()  # the zero vector stays zero
    assert not [one for one in network.parameters() if one.requires_grad]


def test_the_config_builds_it_again() -> None:
    network = LinearNetwork.from_maps(maps(np.random.default_rng(1)), "softmax", normalized=False)
    again = LinearNetwork.from_config(network.to_config())
    assert again.config == network.config == LinearConfig(SIZES, 3, "softmax", False)
    assert again.modalities == ("image", "type", "sound.wav")
    assert again.dimension == 3
    again.load_state_dict(network.state_dict())
    x = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again.embed("type", x), network.embed("type", x))
