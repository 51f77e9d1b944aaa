"""Figures of a report state what they show."""

import numpy as np
import pytest

from commonspace.data import Dataset
from commonspace.evaluation.protocol import EmbeddedData
from commonspace.reporting.figures import draw_figures
from commonspace.reporting.items import Items
from commonspace.reporting.measurements import measure


@pytest.mark.parametrize("wrong", [0, 2])
def test_worst_queries_are_those_below_the_best(wrong: int) -> None:
    """Two classes in two corners; some texts lie in the wrong corner."""
    classes = np.arange(12) % 2
    corners = np.eye(2, dtype=np.float32)
    shown = classes.copy()
    shown[:wrong] = 1 - shown[:wrong]
    data = Dataset.from_arrays(
        image=corners[classes], text=corners[shown], labels=classes, split=["test"] * 12
    )
    vectors = {"image": corners[classes], "text": corners[shown]}
    embedded = EmbeddedData(
        data, vectors, dict.fromkeys(vectors, data.labels), dict.fromkeys(vectors, np.arange(12))
    )
    drawn = [
        draw() for draw in draw_figures(embedded, [*measure(embedded)], Items(data), None, None)
    ]
    queries = next(one for one in drawn if one.name == "queries-text-image")
    titles = [text.get_text() for text in queries.figure.texts]
    assert ("Worst queries, text->image" in titles) == (wrong > 0)
    assert ("same average precision" in queries.caption) == (wrong == 0)
    if wrong:
        labels = [axes.get_title(loc="left") for axes in queries.figure.axes]
        assert sum("query" in label for label in labels) == 3 + wrong
