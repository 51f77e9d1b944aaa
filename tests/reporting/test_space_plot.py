"""Scatter plot of the embeddings of a data set."""

from typing import TYPE_CHECKING

import numpy as np
import pytest

import commonspace as cs
from commonspace.data import Dataset
from commonspace.errors import SettingError
from commonspace.methods import LinearProbe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

pytest.importorskip("matplotlib")


def points(figure: "Figure") -> int:
    """Return the number of points in the panel of all modalities."""
    return sum(np.shape(part.get_offsets())[0] for part in figure.axes[2].collections)


def test_a_panel_for_each_modality_and_one_for_all(feature_dataset: Dataset) -> None:
    train, validation = feature_dataset.split("train"), feature_dataset.split("validation")
    space = LinearProbe().fit(train, validation, cs.RunConfig())
    figure = space.plot(feature_dataset)
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]
    assert [title.partition(" in")[0] for title in titles] == ["(a) image", "(b) text", "(c) all"]
    assert points(figure) == 2 * len(feature_dataset.split("test"))
    fewer = space.plot(feature_dataset, split="all", max_points=10)
    assert points(fewer) == 20
    with pytest.raises(SettingError, match="`max_points` must be >= 5, got 2"):
        space.plot(feature_dataset, max_points=2)
