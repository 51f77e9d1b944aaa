"""The score that chooses the epoch: mAP by class, or recall of pairs without labels."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from commonspace.data import Dataset, Features
from commonspace.encoders import Vectors
from commonspace.evaluation import evaluate_retrieval
from commonspace.training import Samples, ValidationScore


class Same(nn.Module):
    """A network whose embeddings are its input."""

    def embed(self, modality: str, values: Tensor) -> Tensor:
        return values


def samples(
    image: NDArray[np.float32], text: NDArray[np.float32], labels: NDArray[np.bool_]
) -> Samples:
    data = Dataset(
        name="points",
        ids=tuple(map(str, range(len(image)))),
        columns={"image": Features(image), "text": Features(text)},
        labels=labels,
        class_names=tuple(map(str, range(labels.shape[1]))),
        splits=np.array(["validation"] * len(image)),
    )
    inputs = {"image": Vectors(image.shape[1]), "text": Vectors(text.shape[1])}
    return Samples(data, inputs, torch.device("cpu"))


def test_with_labels_it_is_the_map_of_the_evaluation() -> None:
    draw = np.random.default_rng(0)
    image, text = draw.normal(size=(2, 20, 4)).astype(np.float32)
    labels = np.eye(3, dtype=bool)[np.arange(20) % 3]
    score = ValidationScore(samples(image, text, labels), batch_size=7)
    assert score.metric == "mAP"
    vectors, classes = {"image": image, "text": text}, {"image": labels, "text": labels}
    expected = evaluate_retrieval(vectors, classes)["average"]["map"]
    assert score(Same()) == pytest.approx(expected, abs=1e-12)


def test_without_labels_it_is_the_recall_of_pairs_in_which_equal_items_are_one() -> None:
    """Each image is there twice: both texts of it are right."""
    image = np.eye(6, dtype=np.float32)[np.arange(12) % 6]
    text = image + np.linspace(0, 0.1, 12, dtype=np.float32)[:, None]
    score = ValidationScore(samples(image, text, np.zeros((12, 0), dtype=bool)))
    assert score.metric == "mean recall"
    assert score(Same()) == 1.0
