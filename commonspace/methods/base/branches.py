"""From a column of the training part to the beginning of its branch: an input and a backbone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from commonspace.data.columns import Column, Features, Images, Texts
from commonspace.data.dataset import Dataset
from commonspace.encoders import Encoder, Input, Pixels, Vectors, Words
from commonspace.errors import DataError

__all__ = ["Beginning", "build_backbones"]


@dataclass(frozen=True)
class Beginning:
    """How a branch begins."""

    input: Input
    """Turns the items of the column into network input."""
    backbone: dict[str, Any]
    """The description of the backbone that reads it."""


def build_backbones(
    train: Dataset, encoders: Mapping[str, Encoder] | None = None
) -> dict[str, Beginning]:
    """Choose how each branch begins by what its column holds.

    Features pass as they come; images go through a small convolutional network, and texts through
    Kim's sentence CNN over word vectors that are learnt along, both from nothing.

    Args:
        train: the training part; the vocabulary of a text branch is taken from it alone.
        encoders: modality -> encoder, for branches that begin with one.

    Returns:
        Modality name -> beginning, in the order of the columns.

    Raises:
        DataError: there are fewer than two modalities, or a column has no entry in this part.
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
                expected="samples to learn it from",
                found=f"0 of {len(train)}",
                advice="drop the column, or add training samples that have it",
            )
    given = {
        name: Beginning(encoder.input, dict(encoder.backbone_config))
        for name, encoder in (encoders or {}).items()
    }
    return {name: given.get(name) or _beginning(column) for name, column in train.columns.items()}


def _beginning(column: Column) -> Beginning:
    match column:
        case Features():
            return Beginning(Vectors(column.size), {"kind": "vectors", "size": column.size})
        case Images():
            return Beginning(Pixels(), {"kind": "image_cnn"})
        case Texts():
            words = Words.fit(column)
            return Beginning(words, {"kind": "text_cnn", "vocabulary": words.size})
    raise DataError(
        "a column is of a kind that no branch reads",
        expected="features, images or texts",
        found=column.kind,
        advice="extract features from it first",
    )
