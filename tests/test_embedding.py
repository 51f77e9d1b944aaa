"""Batched embedding of items."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from commonspace.embedding import embed_items
from commonspace.encoders import Vectors
from commonspace.errors import SpaceError


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
