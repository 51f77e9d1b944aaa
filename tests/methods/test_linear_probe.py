"""Linear probe against ridge regression."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Ridge

import commonspace as cs
from commonspace.data import Dataset
from commonspace.errors import SettingError
from commonspace.methods import LinearProbe

QUIET = cs.RunConfig()


@pytest.mark.parametrize("r", [0.001, 0.3])
def test_the_probe_is_ridge_regression(r: float, three_modalities: Dataset) -> None:
    """(1 - r) C + r t I is, up to a factor that the cosine drops, C + r t / (1 - r) I."""
    part = three_modalities.split("train")
    labels = part.labels.copy()
    labels[::5] = False
    labels[1::5, 2] = True
    part = replace(part, labels=labels)
    space = LinearProbe(regularization=r).fit(part, three_modalities.split("validation"), QUIET)
    known = labels.any(axis=1)
    for name, column in three_modalities.columns.items():
        X = part.columns[name].values[known].astype(np.float64)  # type: ignore[attr-defined]
        weight = r / (1 - r) * X.var(axis=0).mean() * len(X)
        model = Ridge(alpha=weight).fit(X, labels[known])
        u = (column.values.astype(np.float64) - X.mean(axis=0)) @ model.coef_.T  # type: ignore[attr-defined]
        expected = u / np.linalg.norm(u, axis=1, keepdims=True)
        np.testing.assert_allclose(space.embed(name, column), expected, atol=1e-4)


def test_an_invalid_regularization_is_refused() -> None:
    with pytest.raises(SettingError, match="regularization"):
        LinearProbe(regularization=-0.5)
