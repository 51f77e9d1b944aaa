"""Feature cache: posteriors of few samples by hand, the sample itself left out, and its config."""

import math

import torch

from commonspace.networks.feature_cache import FeatureCacheConfig, FeatureCacheNetwork


def small() -> FeatureCacheNetwork:
    """Two keys, at right angles around the mean (1, 1), with sharpness 2 and scale 4."""
    network = FeatureCacheNetwork(FeatureCacheConfig({"a.b": 2}, {"a.b": 2}, 2))
    keys = torch.tensor([[4.0, 1.0], [1.0, 2.0]])
    network.store("a.b", keys, torch.eye(2), torch.ones(2), torch.tensor([0.25, 0.75]))
    network.set_scale("a.b", 4.0, 2.0)
    return network


def test_posteriors_are_affinities_to_the_keys_and_the_prior() -> None:
    near, far = 4 * 1.0 / 2, 4 * math.exp(-2.0) / 2
    weights = torch.tensor([0.25 * math.exp(near), 0.75 * math.exp(far)])
    p = small().embed("a.b", torch.tensor([[3.0, 1.0]]))
    torch.testing.assert_close(p, (weights / weights.sum())[None])


def test_a_sample_does_not_see_its_own_key() -> None:
    x = torch.tensor([[4.0, 1.0], [4.0, 1.0]])
    p = small().log_posteriors("a.b", x, torch.tensor([0, -1])).exp()
    other = torch.tensor([0.25, 0.75 * math.exp(4 * math.exp(-2.0) / 2)])
    torch.testing.assert_close(p[0], other / other.sum())
    torch.testing.assert_close(p[1], small().embed("a.b", x)[1])


def test_a_network_of_the_same_config_and_weights_is_the_same() -> None:
    network, x = small(), torch.tensor([[0.5, 3.0]])
    twin = FeatureCacheNetwork.from_config(network.to_config())
    twin.load_state_dict(network.state_dict())
    torch.testing.assert_close(twin.embed("a.b", x), network.embed("a.b", x))
    assert (twin.modalities, twin.dimension) == (("a.b",), 2)
