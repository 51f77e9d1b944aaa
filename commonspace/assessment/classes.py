"""Classes of an assessment: which are confused, and which have few labels."""

import numpy as np
from numpy.typing import NDArray

from commonspace.assessment.assessment import ClassFigures, Confused
from commonspace.data.dataset import Dataset
from commonspace.evaluation import class_confusion, mean_by_class
from commonspace.plots import most_confused
from commonspace.space import CommonSpace

__all__ = ["class_confusions", "class_figures"]

CONFUSED, DEPTH = 10, 10
FEW = 0.8
"""A class with less than this share of the labels of the average class has few."""


def class_confusions(space: CommonSpace, data: Dataset) -> list[Confused]:
    """Return the largest confusions, the mean over the directions.

    Of a class of fewer than 10 items other classes are found even by a perfect ranking, so that no
    more results are counted than the smallest class has items.
    """
    embedded = space.embed_dataset(data)
    tables = [
        class_confusion(
            embedded[source].vectors,
            embedded[target].vectors,
            data.labels[embedded[source].rows],
            data.labels[embedded[target].rows],
            min(DEPTH, _smallest_class(data.labels[embedded[target].rows])),
        )
        for source in embedded
        for target in embedded
        if source != target
    ]
    filled = np.stack(tables)
    there = ~np.isnan(filled)
    mean = np.where(there, filled, 0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    names = data.class_names
    return [
        Confused(names[one.query], names[one.result], one.share)
        for one in most_confused(mean, CONFUSED)
    ]


def _smallest_class(labels: NDArray[np.bool_]) -> int:
    counts = labels.sum(axis=0)
    return int(counts[counts > 0].min(initial=DEPTH))


def class_figures(
    values: NDArray[np.float64], train: Dataset, validation: Dataset
) -> list[ClassFigures]:
    """Return the figures of the classes, those that lack samples first, by their mAP."""
    counts = train.labels.sum(axis=0)
    means = mean_by_class(values, validation.labels)
    average = float(np.mean(values))
    found = [
        ClassFigures(
            name,
            int(counts[number]),
            float(means.get(number, np.nan)),
            bool(counts[number] < FEW * counts.mean() and means.get(number, 0.0) < average),
        )
        for number, name in enumerate(train.class_names)
    ]
    return sorted(found, key=lambda one: (not one.lacking, np.nan_to_num(one.map)))
