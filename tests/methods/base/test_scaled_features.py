"""Scaling part by part against the same computed at once, and its peak memory."""

import tracemalloc

import numpy as np
import pytest
import scipy.linalg
from numpy.typing import NDArray

from commonspace.data import Dataset, Features
from commonspace.methods.base import kernel_posteriors, scaled_features
from commonspace.methods.base.kernel_posteriors import fit_kernel_posteriors
from commonspace.methods.base.scaled_features import ScaledFeatures, Scaling


def plain_ratios(X: NDArray[np.float64], T: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the F ratio of each feature: explained variance over the rest."""
    centered = X - X.mean(axis=0)
    directions, sizes, _ = scipy.linalg.svd(T - T.mean(axis=0), full_matrices=False)
    directions = directions[:, sizes > 1e-6 * sizes[0]]
    between = np.square(directions.T @ centered).sum(axis=0)
    within = np.square(centered).sum(axis=0) - between
    explained = len(directions.T)
    found: NDArray[np.float64] = between / within * (len(X) - explained - 1) / explained
    return found


@pytest.mark.parametrize("power", [1.0, 0.5])
@pytest.mark.parametrize("soft", [False, True])
def test_it_equals_the_same_computed_at_once(
    power: float, soft: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaled_features, "PART", 37)
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 4, 300)
    drawn = rng.normal(size=(300, 6)) + 1000 * np.arange(6)  # large means
    values = (drawn + classes[:, None] * np.linspace(0, 1, 6)).astype(np.float32)
    present = np.sort(rng.permutation(300)[:280])
    rows = rng.permutation(present)[:200]
    T = rng.dirichlet(np.ones(4), 200) if soft else np.eye(4)[classes[rows]]
    whole = np.sign(values) * np.abs(values.astype(np.float64)) ** power
    features = ScaledFeatures(values, rows, present)
    scaling = Scaling(power, 0.5, 0.25)
    targets = np.zeros((300, 4))
    targets[rows] = T
    shift, weight = features.scale(targets, scaling)
    spread = whole[present].std(axis=0)
    expected = spread**-0.5 * plain_ratios(whole[rows], T) ** 0.25
    expected /= np.sqrt(np.square(expected * spread).mean())
    np.testing.assert_allclose(shift, whole[present].mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(weight, expected, rtol=1e-6)
    np.testing.assert_allclose(
        features.rescaled(slice(5, 50), scaling, shift, weight),
        (whole[rows[5:50]] - shift) * weight,
        rtol=1e-9,
    )


def test_memory_beyond_the_features_does_not_grow_with_their_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Beside one matrix of the machine, only what is as wide as the classes grows."""
    monkeypatch.setattr(kernel_posteriors, "SAMPLES", 300)
    monkeypatch.setattr(kernel_posteriors, "LANDMARKS", 100)
    monkeypatch.setattr(kernel_posteriors, "FEW", (150, 60))
    rng = np.random.default_rng(0)
    n, d, c = 12_000, 200, 3
    classes = rng.integers(0, c, n)
    values = rng.normal(size=(n, d)).astype(np.float32)
    values[:, :c] += 2 * np.eye(c)[classes]
    data = Dataset(
        name="many",
        ids=tuple(map(str, range(n))),
        columns={"one": Features(values)},
        labels=np.eye(c, dtype=bool)[classes],
        class_names=("a", "b", "c"),
        splits=np.full(n, "train"),
    )
    tracemalloc.start()
    found = fit_kernel_posteriors(data, multi_label=False, seed=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * values.nbytes  # a copy in float64 alone would take 2
    right = found.left_out["one"].all().argmax(axis=1) == classes
    assert right.mean() > 0.7
