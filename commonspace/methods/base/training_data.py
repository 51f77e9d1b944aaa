"""Data of one fit by gradient descent, and what it must have."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from commonspace.data.columns import Column, Features, Images, Texts
from commonspace.data.dataset import Dataset
from commonspace.encoders import Encoder, Input, Pixels, Vectors, Words
from commonspace.errors import DataError
from commonspace.training.samples import Samples

__all__ = ["TrainingData", "branch_start", "check_columns", "check_pairs"]


@dataclass(frozen=True)
class TrainingData:
    """The data of one fit, as ``GradientMethod.prepare`` returns it."""

    train: Dataset
    """The training split; features in place of raw columns whose encoder stays frozen."""
    validation: Dataset
    """The validation split, likewise."""
    inputs: Mapping[str, Input]
    """Modality -> converter of its items to network input."""
    backbones: Mapping[str, Mapping[str, Any]]
    """Modality -> description of the backbone of its branch."""
    encoders: Mapping[str, Encoder]
    """Modality -> encoder of its raw items."""
    tuned: tuple[str, ...]
    """Modalities whose encoder is trained; the columns of the others hold its features."""
    device: torch.device
    """Where the network is trained."""
    samples: Samples
    """The training split as tensors."""
    validation_samples: Samples
    """The validation split as tensors."""
    fingerprint: str
    """Fingerprint of the training split that ``fit`` was given."""


def branch_start(column: Column) -> tuple[Input, dict[str, Any]]:
    """Return input and backbone for a column: features as they are, raw items from scratch.

    Raises:
        DataError: If the type of the column is not supported.
    """
    match column:
        case Features():
            return Vectors(column.size), {"kind": "vectors", "size": column.size}
        case Images():
            return Pixels(), {"kind": "image_cnn"}
        case Texts():
            words = Words.fit(column)
            return words, {"kind": "text_cnn", "vocabulary": words.size}
    raise DataError(
        "this type of column is not supported",
        expected="features, images or texts",
        found=column.kind,
        advice="extract features from it first",
    )


def check_columns(train: Dataset) -> None:
    """Check that there are two modalities or more, each with samples.

    Raises:
        DataError: If not.
    """
    if len(train.columns) < 2:
        raise DataError(
            f"{train.name!r} has too few modalities for a common space",
            expected="at least two, such as image and text",
            found=", ".join(train.modalities),
            advice="add a column with the other modality of each sample",
        )
    for name, column in train.columns.items():
        if not column.present.any():
            raise DataError(
                f"no training sample of {train.name!r} has the modality {name!r}",
                expected="at least one",
                found=f"0 of {len(train)}",
                advice="drop the column, or add training samples that have it",
            )


def check_pairs(train: Dataset) -> None:
    """Check that each modality has two samples or more with another modality.

    Raises:
        DataError: If not.
    """
    present = torch.stack([torch.from_numpy(one.present) for one in train.columns.values()])
    several = present.sum(dim=0) >= 2
    for name, mask in zip(train.columns, present, strict=True):
        count = int((mask & several).sum())
        if count < 2:
            raise DataError(
                f"{train.name!r} has too few complete samples to train on {name!r}",
                expected="at least two that have another modality too",
                found=f"{count} of {len(train)}",
                advice="add pairs, or use a method that needs none, such as sdml or supcon",
            )
