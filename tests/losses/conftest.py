"""Random matrices for the tests of the losses."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


@pytest.fixture(scope="session")
def draw() -> Callable[..., tuple[Matrix, ...]]:
    """Draw normal matrices of the given shapes from a seed."""

    def draw_matrices(seed: int, *shapes: tuple[int, ...]) -> tuple[Matrix, ...]:
        generator = np.random.default_rng(seed)
        return tuple(generator.normal(size=shape) for shape in shapes)

    return draw_matrices
