"""Batched embedding of items, and query vectors with an instance weight."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from commonspace.embedding import embed_items, weight_queries
from commonspace.encoders import Vectors
from commonspace.errors import SettingError, SpaceError


class Blocks(nn.Module):
    """Two blocks of one coordinate each."""

    dimension = 2
    has_instance_block = True

    def as_queries(self, vectors: Tensor, instance_weight: float) -> Tensor:
        weights = torch.tensor([1 - instance_weight, instance_weight])
        return vectors * weights + torch.tensor([0, instance_weight])


def test_queries_are_weighted_and_items_are_not() -> None:
    vectors = np.array([[2.0, 3.0], [4.0, 5.0]])
    for weight, expected in ((0.0, [[2, 0], [4, 0]]), (0.25, [[1.5, 1.0], [3, 1.5]])):
        weighted = weight_queries(Blocks(), vectors, weight)
        assert weighted.dtype == np.float32
        np.testing.assert_allclose(weighted, expected)
    np.testing.assert_array_equal(weight_queries(Blocks(), vectors, None), vectors)
    for weight in (-0.1, 1.1, float("nan")):
        with pytest.raises(SettingError, match=r"`instance_weight` must be in \[0, 1\], got"):
            weight_queries(Blocks(), vectors, weight)


class Fixed(nn.Module):
    """Returns one tensor for any input; it has no parameters."""

    dimension = 2

    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.output = output

    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        return self.output


def test_a_network_without_parameters_can_embed() -> None:
    half = torch.ones(3, 2, dtype=torch.bfloat16)
    vectors = embed_items(Fixed(half), "image", Vectors(4), np.zeros((3, 4)), 512)
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, np.ones((3, 2)))


@pytest.mark.parametrize("shape", [(3, 3), (2, 2), (3,)])
def test_embeddings_of_a_wrong_shape_are_rejected(shape: tuple[int, ...]) -> None:
    with pytest.raises(SpaceError, match=r"Fixed\.embed returned embeddings of a wrong shape"):
        embed_items(Fixed(torch.ones(shape)), "image", Vectors(4), np.zeros((3, 4)), 512)
