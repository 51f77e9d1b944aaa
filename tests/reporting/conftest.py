"""Spaces that cost nothing: each modality is multiplied by a matrix and normalised."""

from collections.abc import Callable

import numpy as np
import pytest

from commonspace.data import Dataset, Features
from commonspace.encoders import Vectors
from commonspace.networks.linear import AffineMap, LinearNetwork
from commonspace.space import CommonSpace

MakeSpace = Callable[[Dataset], CommonSpace]


@pytest.fixture(scope="session")
def space_of() -> MakeSpace:
    """Make a space for the features of a data set, with a random projection for each modality."""

    def make(data: Dataset) -> CommonSpace:
        draw = np.random.default_rng(0)
        sizes = {n: c.size for n, c in data.columns.items() if isinstance(c, Features)}
        maps = {
            n: AffineMap(np.zeros(size), draw.normal(size=(size, 4))) for n, size in sizes.items()
        }
        return CommonSpace(
            LinearNetwork.from_maps(maps),
            {name: Vectors(size) for name, size in sizes.items()},
            data.class_names,
            {"method": {"name": "random", "options": {"seed": 0, "eta": None}}},
        )

    return make
