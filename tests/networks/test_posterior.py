"""Network of posterior matching: class and instance blocks, query weights."""

from typing import Any

import pytest
import torch

from commonspace.networks.posterior import (
    MAX_INSTANCE_WEIGHT,
    UNCERTAINTY_WEIGHT,
    PosteriorConfig,
    PosteriorNetwork,
)


def network(**options: Any) -> PosteriorNetwork:  # noqa: ANN401
    """Return a network with random weights, coefficients and scales."""
    sizes = {"image": 5, "type": 3}
    config = PosteriorConfig(
        **{
            "backbones": {name: {"kind": "vectors", "size": size} for name, size in sizes.items()},
            "classes": 4,
            "landmarks": dict.fromkeys(sizes, 6),
            "hidden_dim": 8,
            "instance_dim": 3,
            **options,
        }
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = PosteriorNetwork(config)
        for name in sizes:
            kernel = made.kernel(name)
            for buffer in (kernel.landmarks, kernel.coefficients, kernel.bias):
                buffer.normal_()
        made.shares.copy_(torch.tensor([0.25, 0.75]))
        made.temperatures.copy_(torch.tensor([2.0, 0.5]))
    return made.eval()


INPUTS = {name: torch.randn(7, size) for name, size in (("image", 5), ("type", 3))}


@torch.no_grad()
def test_the_posterior_is_the_mixture_of_both_experts() -> None:
    made = network()
    for number, name in enumerate(made.modalities):
        x = INPUTS[name]
        share, t = made.shares[number], made.temperatures[number]
        expected = (1 - share) * made.kernel(name)(x).softmax(dim=1)
        expected += share * (made.logits(name, x) / t).softmax(dim=1)
        found = made.posterior(name, x)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(found.sum(dim=1), torch.ones(7))


@torch.no_grad()
def test_several_classes_have_independent_probabilities() -> None:
    made = network(multi_label=True)
    x = INPUTS["type"]
    expected = 0.25 * made.kernel("type")(x).sigmoid()
    expected += 0.75 * (made.logits("type", x) / 0.5).sigmoid()
    torch.testing.assert_close(made.posterior("type", x), expected)


@torch.no_grad()
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_the_instance_weight_weights_the_blocks_of_the_query(weight: float) -> None:
    made = network(mixture=0.1)
    one, other = (made.embed(name, INPUTS[name]) for name in made.modalities)
    p, q = (made.posterior(name, INPUTS[name]) for name in made.modalities)
    z, y = (made.instance_vectors(name, INPUTS[name]) for name in made.modalities)
    w = MAX_INSTANCE_WEIGHT * weight
    uncertainty, other_uncertainty = (1 - each.norm(dim=1) for each in (p, q))
    p_norm = (p * p).sum(dim=1, keepdim=True)
    expected = (1 - w) * p @ q.T + w * p_norm * (z @ y.T + UNCERTAINTY_WEIGHT * other_uncertainty)
    torch.testing.assert_close(made.as_queries(one, weight) @ other.T, expected)
    both = torch.outer(uncertainty, other_uncertainty)
    torch.testing.assert_close(one @ other.T, 0.9 * p @ q.T + 0.1 * (z @ y.T + both))
    torch.testing.assert_close(z.norm(dim=1), torch.ones(7))
    assert one.norm(dim=1).max() <= 1 + 1e-6


@torch.no_grad()
def test_both_blocks_have_the_given_shares_for_an_equal_item() -> None:
    """For every class of the query, certain or not, the shares are those of the instance weight."""
    made = network(mixture=0.2)
    vectors = made.embed("image", INPUTS["image"])
    queries = made.as_queries(vectors, 0.5)
    classes, instance = (
        (queries * vectors)[:, :4].sum(dim=1),
        (queries * vectors)[:, 4:-1].sum(dim=1),
    )
    w = 0.5 * MAX_INSTANCE_WEIGHT
    torch.testing.assert_close(instance / classes, torch.full((7,), w / (1 - w)))


@torch.no_grad()
def test_without_an_instance_block_the_embeddings_are_the_posteriors() -> None:
    made = network(instance_dim=0)
    assert not made.has_instance_block
    assert made.dimension == 4
    found = made.embed("image", INPUTS["image"])
    torch.testing.assert_close(found, made.posterior("image", INPUTS["image"]))


def test_it_is_built_again_from_its_config() -> None:
    made = network()
    again = PosteriorNetwork.from_config(made.to_config())
    again.load_state_dict(made.state_dict())
    again.eval()
    for name, given in INPUTS.items():
        torch.testing.assert_close(again.embed(name, given), made.embed(name, given))
    assert made.embed("image", INPUTS["image"]).shape == (7, 8)
