"""Modality gap against its definition."""

import math

import numpy as np
import pytest

from commonspace.errors import DataError
from commonspace.evaluation import (
    modality_gap,
)


def test_modality_gap() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((30, 4)), rng.standard_normal((50, 4)) + 1
    centroids = []
    for side in (first, second):
        total = [0.0] * 4
        for row in side.tolist():
            length = math.sqrt(sum(value**2 for value in row))
            total = [t + value / length / len(side) for t, value in zip(total, row, strict=True)]
        centroids.append(total)
    expected = math.dist(*centroids)
    assert modality_gap(first, second) == pytest.approx(expected, rel=1e-12)
    assert modality_gap(second, first) == pytest.approx(expected, rel=1e-12)
    rotation = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    scale = rng.uniform(0.1, 9, (50, 1))
    assert modality_gap(first @ rotation, second * scale @ rotation) == pytest.approx(expected)
    assert modality_gap(first * 1e-200, second * 1e200) == pytest.approx(expected, rel=1e-12)
    assert modality_gap(first, first) == 0
    with pytest.raises(DataError, match=r"one of the second embeddings has no(.|\n)*row 1 is zero"):
        modality_gap([[1.0]], [[1.0], [0.0]])
    with pytest.raises(DataError, match="first and second embeddings have different sizes"):
        modality_gap([[1.0]], [[1.0, 2.0]])
