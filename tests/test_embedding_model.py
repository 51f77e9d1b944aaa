"""Embedding models: query vectors with an instance weight."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from commonspace.embedding_model import EmbeddingModel
from commonspace.encoders import Vectors
from commonspace.errors import DataError, SettingError


class Blocks(nn.Module):
    """Two blocks of one coordinate each."""

    modalities = ("image",)
    dimension = 2
    has_instance_block = True

    def as_queries(self, vectors: Tensor, instance_weight: float) -> Tensor:
        weights = torch.tensor([1 - instance_weight, instance_weight])
        return vectors * weights + torch.tensor([0, instance_weight])

    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        return inputs


def test_queries_are_weighted_and_items_are_not() -> None:
    model = EmbeddingModel(Blocks(), {"image": Vectors(2)})
    vectors = np.array([[2.0, 3.0], [4.0, 5.0]])
    for weight, expected in ((0.0, [[2, 0], [4, 0]]), (0.25, [[1.5, 1.0], [3, 1.5]])):
        weighted = model.as_queries(vectors, weight)
        assert weighted.dtype == np.float32
        np.testing.assert_allclose(weighted, expected)
    np.testing.assert_array_equal(model.as_queries(vectors, None), vectors)
    for weight in (-0.1, 1.1, float("nan")):
        with pytest.raises(SettingError, match=r"`instance_weight` must be in \[0, 1\], got"):
            model.as_queries(vectors, weight)
    with pytest.raises(DataError, match="query embeddings have a wrong shape"):
        model.as_queries(vectors[:, :1])
