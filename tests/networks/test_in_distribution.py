"""Queries unlike the training data are detected by similarity and by class posteriors."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from commonspace.networks.in_distribution import InDistribution


def drawn(n: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return features, rescaled features and posteriors of samples of one direction."""
    draw = torch.Generator().manual_seed(seed)
    features = torch.randn(n, 5, generator=draw) * 0.3 + torch.tensor([3.0, 0, 0, 0, 0])
    return features, features - 1, torch.rand(n, 4, generator=draw).softmax(dim=1)


@pytest.fixture
def detector() -> InDistribution:
    made = InDistribution(size=5, references=30)
    made.set_references(*drawn(30, seed=0)[:2])
    made.calibrate(*drawn(400, seed=1))
    return made


def test_the_score_is_the_mean_of_three_standardized_signals(detector: InDistribution) -> None:
    """By a naive computation of the nearest cosines in NumPy."""

    def signals(n: int, seed: int) -> NDArray[np.float64]:
        values = [part.double().numpy() for part in drawn(n, seed)]
        columns = []
        for one, known in zip(values[:2], drawn(30, 0)[:2], strict=True):
            references = known.double().numpy()
            cosines = [
                sorted(
                    row @ other / np.linalg.norm(row) / np.linalg.norm(other)
                    for other in references
                )[-10:]
                for row in one
            ]
            columns.append(np.mean(cosines, axis=1))
        certainty = (values[2] * np.log(values[2])).sum(axis=1)
        return np.stack([*columns, certainty], axis=1)

    known = signals(400, 1)
    expected = (signals(20, 2) - known.mean(axis=0)) / known.std(axis=0, ddof=1)
    score = detector.score(*drawn(20, seed=2))
    assert score.numpy() == pytest.approx(expected.mean(axis=1), abs=1e-2)


def test_about_three_percent_of_similar_samples_are_below_one_half(
    detector: InDistribution,
) -> None:
    probability = detector(*drawn(400, seed=1))
    assert float((probability < 0.5).float().mean()) == pytest.approx(0.03, abs=0.01)
    assert float((probability == 0).float().mean()) == pytest.approx(0.01, abs=0.005)
    assert float((probability < 1).float().mean()) == pytest.approx(0.05, abs=0.005)
    assert float((detector(*drawn(4000, seed=3)) < 0.5).float().mean()) < 0.06


def test_another_direction_is_detected(detector: InDistribution) -> None:
    features, rescaled, posterior = drawn(50, seed=4)
    turned = features[:, [1, 0, 2, 3, 4]]
    assert float(detector(turned, turned - 1, posterior).max()) == 0
    assert float(detector(features, rescaled, posterior).mean()) > 0.9


def test_equal_samples_do_not_divide_by_zero() -> None:
    made = InDistribution(size=2, references=1)
    same = torch.ones(50, 2)
    made.set_references(same[:1], same[:1])
    made.calibrate(same, same, torch.full((50, 2), 0.5))
    assert torch.isfinite(made(same, same, torch.full((50, 2), 0.5))).all()
    assert float(made(-same, -same, torch.full((50, 2), 0.5)).max()) == 0
