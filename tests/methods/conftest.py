"""Fixtures of the contrastive methods: a batch with gaps, and two views of the same points."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from commonspace.data import Dataset, Features
from commonspace.training import Batch

SIZES = {"image": 6, "text": 5, "sound": 4}


@pytest.fixture(params=range(4))
def gap_batch(request: pytest.FixtureRequest) -> Batch:
    """Return samples with gaps in every modality, of one, two or no classes."""
    draw = np.random.default_rng(request.param)
    present = {name: torch.from_numpy(draw.random(9) < 0.7) for name in SIZES}
    inputs = {
        name: torch.from_numpy(draw.normal(size=(int(present[name].sum()), size))).float()
        for name, size in SIZES.items()
    }
    return Batch(inputs, present, torch.from_numpy(draw.random((9, 3)) < 0.4).float())


@pytest.fixture(scope="session")
def two_views() -> Dataset:
    """Return two noisy nonlinear views of a point in eight dimensions; its octant is its class."""
    draw = np.random.default_rng(3)
    n = 400
    point = draw.normal(size=(n, 8))
    mixes: list[NDArray[np.float64]] = [draw.normal(size=(8, 20)) for _ in range(2)]
    views = [np.tanh(point @ mix / 2) + draw.normal(size=(n, 20)) / 20 for mix in mixes]
    octant = (point[:, :3] > 0) @ np.array([4, 2, 1])
    return Dataset(
        name="views",
        ids=tuple(map(str, range(n))),
        columns={name: Features(view) for name, view in zip(("a", "b"), views, strict=True)},
        labels=np.eye(8, dtype=bool)[octant],
        class_names=tuple(map(str, range(8))),
        splits=np.repeat(["train", "validation", "test"], [n - 200, 100, 100]),
    )
