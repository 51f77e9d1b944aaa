"""What all methods share: the contract, the two splits of a fit, and calibrated scores."""

from collections.abc import Mapping
from itertools import permutations, zip_longest
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from commonspace.calibration import fit_calibration
from commonspace.data.checks import find_outliers
from commonspace.data.dataset import Dataset
from commonspace.errors import DataError
from commonspace.space import CommonSpace
from commonspace.training.loop import RunConfig

__all__ = ["Method", "calibrate_scores", "check_splits", "describe_split", "select_splits"]

MOST_VALIDATION = 5000
"""Largest number of validation samples: comparing all with all takes the square of it."""

LEAST_EACH = 1000
"""Smallest number of them, if there are so many, that have a label and a modality."""

CALIBRATION_SAMPLES = 2000
"""Largest number of samples of a modality that are compared: 4 million pairs a direction."""


class Method(Protocol):
    """A dataclass of settings with ``fit``: data in, a common space out."""

    def fit(self, train: Dataset, validation: Dataset, run: RunConfig | None = None) -> CommonSpace:
        """Fit a common space.

        Args:
            train: The training split.
            validation: The validation split.
            run: Callbacks, and where to keep a checkpoint.

        Returns:
            A space that embeds every modality of ``train``, with its provenance.
        """


def select_splits(train: Dataset, validation: Dataset | None) -> tuple[Dataset, Dataset]:
    """Return the training and the validation split that ``fit`` was given.

    Samples with absurdly large features, which ``data.checks`` names when they are read, are left
    out: one of them would decide the mean and variance of all. Of more than 5,000 validation
    samples that many are drawn, so that a fit does not take the square of their number.

    Args:
        train: The training split, or the whole data set if there is no ``validation``.
        validation: The validation split.

    Raises:
        DataError: If one is not a Dataset.
        SplitError: If the data set has no training or no validation split.
    """
    for value in (train, train if validation is None else validation):
        if not isinstance(value, Dataset):
            raise DataError(
                "fit needs a Dataset",
                expected="a Dataset, with features, images or texts and labels",
                found=type(value).__name__,
                advice="make one with Dataset.from_arrays(image=X, text=Y, labels=y)"
                " or load_dataset(path)",
            )
    if validation is None:
        train, validation = train.split("train"), train.split("validation")
    return _without_outliers(train), _drawn(_without_outliers(validation))


def check_splits(train: Dataset, validation: Dataset, *, supervised: bool = True) -> None:
    """Check that a method can train on one split and choose on the other.

    Args:
        train: The training split.
        validation: The validation split. A method that uses no labels chooses by the pairs if
            the split has none.
        supervised: Whether the method uses the labels of the training split.

    Raises:
        DataError: If a split lacks labels or pairs, or the two differ in their modalities or
            classes.
    """
    for name, part in (("training", train), ("validation", validation)):
        if supervised and not part.labels.any():
            raise DataError(
                f"the {name} split of {part.name!r} has no labels",
                expected="at least one labeled sample",
                found=f"{len(part)} samples without a label",
                advice="give the samples a label column, or use a method that needs no labels, such"
                " as infonce",
            )
    labeled = validation.labels.any(axis=1)
    for modality, column in train.columns.items():
        other = validation.columns.get(modality)
        if other is None or repr(other) != repr(column):
            raise _mismatch(f"{modality!r} to be {column!r}", repr(other) if other else "none")
        if labeled.any() and not (other.present & labeled).any():
            raise DataError(
                f"no labeled validation sample of {validation.name!r} has the modality"
                f" {modality!r}",
                expected="at least one",
                found=f"0 of {len(validation)}",
                advice="give validation samples of every modality, or drop the column from both",
            )
    if not labeled.any():
        _check_validation_pairs(validation, train.modalities)
    for ours, theirs in zip_longest(train.class_names, validation.class_names):
        if ours != theirs:
            raise _mismatch(f"the class {ours!r}", f"{theirs!r} in its place")


def describe_split(part: Dataset) -> dict[str, Any]:
    """Return the description of a split for the provenance of a space, as JSON."""
    return {
        "name": part.name,
        "samples": len(part),
        "modalities": {name: repr(column) for name, column in part.columns.items()},
        "classes": len(part.class_names),
        "fingerprint": part.fingerprint,
        "provenance": dict(part.provenance),
    }


def calibrate_scores(
    space: CommonSpace,
    embeddings: Mapping[str, NDArray[np.float32]],
    validation: Dataset,
) -> None:
    """Fit the map from score to the probability of a shared class, on the validation split.

    All pairs of samples in two different modalities count, in both directions, except a sample
    with itself: a new query does not find its own counterpart in the gallery. Scores are those at
    ``instance_weight`` 0 if the space has an instance block. The space stays uncalibrated if all
    pairs are relevant or none is, such as with one class, and without labels: the probability that
    two items are a pair would depend on the size of the gallery.

    Args:
        space: Newly fitted; it is changed in place.
        embeddings: Modality -> (n_m, d), of the validation samples that have it.
        validation: The labeled samples.
    """
    if not validation.labels.any():
        return
    chosen = {}
    for name, vectors in embeddings.items():
        rows = np.flatnonzero(validation.columns[name].present)
        known = np.flatnonzero(validation.labels[rows].any(axis=1))
        even = np.linspace(0, len(known) - 1, CALIBRATION_SAMPLES).round().astype(int)
        some = known[np.unique(even)]
        chosen[name] = vectors[some], rows[some]
    labels = validation.labels.astype(np.float32)
    scores: list[NDArray[np.float32]] = []
    relevant: list[NDArray[np.bool_]] = []
    for one, other in permutations(chosen, 2):
        (first, rows), (items, columns) = chosen[one], chosen[other]
        queries = space.as_queries(first, 0.0) if space.has_instance_block else first
        different = rows[:, None] != columns[None, :]
        scores.append((queries @ items.T)[different])
        relevant.append((labels[rows] @ labels[columns].T > 0)[different])
    x, y = np.concatenate(scores), np.concatenate(relevant)
    if y.any() and not y.all():
        space.calibration = fit_calibration(x, y)


def _without_outliers(part: Dataset) -> Dataset:
    """Return the samples that are no outliers; the same object if all are."""
    outliers = find_outliers(part.columns)
    return part.take(np.flatnonzero(~outliers)) if outliers.any() else part


def _drawn(validation: Dataset) -> Dataset:
    """Return samples that are drawn by a fixed seed; the same object if there are few."""
    if len(validation) <= MOST_VALIDATION:
        return validation
    order = np.random.default_rng(0).permutation(len(validation))
    labeled = validation.labels.any(axis=1)
    chosen = [order[:MOST_VALIDATION]]
    for column in validation.columns.values():
        rare = order[(column.present & labeled)[order]]
        chosen.append(rare[:LEAST_EACH])
    return validation.take(np.unique(np.concatenate(chosen)))


def _check_validation_pairs(validation: Dataset, modalities: tuple[str, ...]) -> None:
    """Check that each modality of a split without labels has at least two pairs."""
    present = np.stack([validation.columns[name].present for name in modalities])
    pairs = present & (present.sum(axis=0) > 1)
    for modality, count in zip(modalities, pairs.sum(axis=1).tolist(), strict=True):
        if count < 2:
            raise DataError(
                f"the validation split of {validation.name!r} has no labels and too few pairs with"
                f" {modality!r}",
                expected="at least two samples that have another modality too",
                found=f"{count} of {len(validation)}",
                advice="give validation samples both modalities, or labels",
            )


def _mismatch(expected: str, found: str) -> DataError:
    return DataError(
        "the training and the validation split do not belong together",
        expected=f"{expected}, as in training",
        found=found,
        advice='take both from one data set: data.split("train"), data.split("validation")',
    )
