"""What turns the raw items of one modality into the tensor that its backbone reads.

An input is pre-processing only: it is fixed before training and learns no weights. It knows
nothing of networks, labels or splits. What it needs to be built again fits into a JSON object.
"""

from typing import Any, Protocol

import torch

__all__ = ["Input"]


class Input(Protocol):
    """One way to make a tensor of raw items; the row of a missing item is zero.

    Attributes:
        kind: the name of this way in a saved config.
    """

    kind: str

    def __call__(self, items: Any) -> torch.Tensor:  # noqa: ANN401 - each input names its own items
        """Return a tensor whose first dimension counts the items.

        Args:
            items: a column of a data set, or a sequence of items; None is a missing one.

        Raises:
            DataError: an item is of a form that this input cannot read.
        """

    def to_config(self) -> dict[str, Any]:
        """Return what it is built from again: a JSON object with the key "kind"."""
