"""The two parts that a method is given: whether they belong together, and the record of each.

It knows nothing of what a method does with them.
"""

from itertools import zip_longest
from typing import Any

from commonspace.data.dataset import Dataset
from commonspace.errors import DataError

__all__ = ["check_parts", "facts_of"]


def check_parts(train: Dataset, validation: Dataset, *, supervised: bool = True) -> None:
    """Check that there is something to learn from, and that it can be chosen on validation.

    Args:
        train: the training part.
        validation: the validation part.
        supervised: whether the method learns from the classes of the training part; validation
            needs them in any case, since the mAP is counted by class.

    Raises:
        DataError: a part has no labels, or validation differs from training in a modality or in
            the classes.
    """
    for what, part, needs in (("training", train, supervised), ("validation", validation, True)):
        if needs and not part.labels.any():
            raise DataError(
                f"the {what} part of {part.name!r} has no labels",
                expected="at least one labelled sample",
                found=f"{len(part)} samples without a label",
                advice="give the samples a label column; a supervised method learns from classes"
                if what == "training"
                else "give the samples a label column; what is best is told by classes",
            )
    for name, column in train.columns.items():
        other = validation.columns.get(name)
        if other is None or repr(other) != repr(column):
            raise _strangers(f"{name!r} to be {column!r}", repr(other) if other else "none")
        usable = int((other.present & validation.labels.any(axis=1)).sum())
        if usable == 0:
            raise DataError(
                f"no labelled validation sample of {validation.name!r} has the modality {name!r}",
                expected="at least one, to choose on",
                found=f"0 of {len(validation)}",
                advice="give validation samples of every modality, or drop the column from both",
            )
    for ours, theirs in zip_longest(train.class_names, validation.class_names):
        if ours != theirs:
            raise _strangers(f"the class {ours!r}", f"{theirs!r} in its place")


def facts_of(part: Dataset) -> dict[str, Any]:
    """Return what the record of a space says of a part: name, sizes, fingerprint, provenance."""
    return {
        "name": part.name,
        "samples": len(part),
        "modalities": {name: repr(column) for name, column in part.columns.items()},
        "classes": len(part.class_names),
        "fingerprint": part.fingerprint,
        "provenance": dict(part.provenance),
    }


def _strangers(expected: str, found: str) -> DataError:
    return DataError(
        "the training and the validation part do not belong together",
        expected=f"{expected}, as in training",
        found=found,
        advice='take both from one data set: data.split("train"), data.split("validation")',
    )
