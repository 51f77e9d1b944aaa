"""Cross-entropy of classes for samples with one or several labels."""

from torch import Tensor
from torch.nn.functional import cross_entropy

__all__ = ["class_cross_entropy"]


def class_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy, with the target of a sample spread evenly over its classes.

    Args:
        logits: (n, c) float.
        labels: (n, c) float, 1 where a sample has a class; each row has at least one.

    Returns:
        A scalar; 0 for n = 0.

    Example:
        >>> import torch
        >>> round(float(class_cross_entropy(torch.zeros(1, 4), torch.ones(1, 4))), 4)  # log 4
        1.3863
    """
    if not len(logits):
        return logits.sum() * 0
    return cross_entropy(logits, labels / labels.sum(dim=1, keepdim=True))
