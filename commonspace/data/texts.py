"""Expansion of samples with several texts to one sample for each text."""

from dataclasses import replace

import numpy as np

from commonspace.data.columns import Column, Texts
from commonspace.data.dataset import Dataset
from commonspace.errors import DataError

__all__ = ["one_sample_per_text"]


def one_sample_per_text(data: Dataset) -> Dataset:
    """Return a data set in which every sample has at most one text.

    A sample of k texts becomes k samples, each with one of them and the same image, labels,
    split and fields. Their ids are "id#1" to "id#k"; the field "sample" keeps the first id.

    Args:
        data: with one column of texts.

    Raises:
        DataError: it has no column of texts, or more than one.

    Example:
        >>> from commonspace.data.columns import Features
        >>> data = Dataset(
        ...     name="two",
        ...     ids=("a", "b"),
        ...     columns={
        ...         "image": Features([[1.0], [2.0]]),
        ...         "text": Texts((("a cat", "some cat"), ("a dog",))),
        ...     },
        ...     labels=np.eye(2, dtype=bool),
        ...     class_names=("cat", "dog"),
        ...     splits=np.array(["train", "train"]),
        ... )
        >>> each = one_sample_per_text(data)
        >>> each.ids, each.columns["image"].values[:, 0].tolist()
        (('a#1', 'a#2', 'b'), [1.0, 1.0, 2.0])
    """
    found = {name: column for name, column in data.columns.items() if isinstance(column, Texts)}
    if len(found) != 1:
        raise DataError(
            f"{data.name!r} cannot be divided into one sample for each text",
            expected="one column of texts",
            found=", ".join(found) or "none",
            advice="leave the other columns out, or use --multi-caption mean",
        )
    ((name, texts),) = found.items()
    counts = np.array([max(len(several), 1) for several in texts.items])
    rows = np.repeat(np.arange(len(data)), counts)
    numbers = [number for count in counts for number in range(1, count + 1)]
    single: Column = Texts(
        [texts.items[row][n - 1 : n] for row, n in zip(rows.tolist(), numbers, strict=True)]
    )
    ids = [
        f"{data.ids[row]}#{n}" if counts[row] > 1 else data.ids[row]
        for row, n in zip(rows.tolist(), numbers, strict=True)
    ]
    return replace(
        data,
        ids=tuple(ids),
        columns={key: column.take(rows) for key, column in data.columns.items()} | {name: single},
        labels=data.labels[rows],
        splits=data.splits[rows],
        fields={key: [values[row] for row in rows.tolist()] for key, values in data.fields.items()}
        | {"sample": [data.ids[row] for row in rows.tolist()]},
        provenance={**data.provenance, "multi_caption": "expand"},
    )
