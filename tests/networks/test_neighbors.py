"""Nearest-neighbor network: posteriors of few samples by hand, and its config."""

import torch

from commonspace.networks.neighbors import NeighborsConfig, NeighborsNetwork


def test_posteriors_are_shares_of_the_nearest_samples_and_the_prior() -> None:
    network = NeighborsNetwork(NeighborsConfig({"image": 1}, {"image": 3}, 2, neighbors=2))
    network.scale("image").shift.fill_(10.0)
    labels = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    network.store("image", torch.tensor([[10.0], [11.0], [15.0]]), labels)
    p = network.embed("image", torch.tensor([[10.0], [15.0]]))
    expected = torch.tensor([[2 + 2 / 3, 1 / 3], [1 + 2 / 3, 1 + 1 / 3]]) / 3
    torch.testing.assert_close(p, expected)
    twin = NeighborsNetwork.from_config(network.to_config())
    twin.load_state_dict(network.state_dict())
    torch.testing.assert_close(twin.embed("image", torch.tensor([[10.0], [15.0]])), expected)


def test_cosines_are_those_of_shifted_features() -> None:
    """The nearest by angle is the farthest by distance."""
    config = NeighborsConfig({"image": 2}, {"image": 2}, 2, neighbors=1, cosine=True)
    network = NeighborsNetwork(config)
    network.scale("image").shift.fill_(1.0)
    network.store("image", torch.tensor([[101.0, 1.0], [1.0, 2.0]]), torch.eye(2))
    p = network.embed("image", torch.tensor([[2.0, 1.5]]))
    torch.testing.assert_close(p, torch.tensor([[1.5, 0.5]]) / 2)
