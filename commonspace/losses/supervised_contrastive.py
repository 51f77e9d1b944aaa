"""Supervised contrastive loss."""

import torch
from torch import Tensor

from commonspace.losses.base import (
    Reduction,
    check_temperature,
    normalize_rows,
    reduce_loss,
    shares_class,
)

__all__ = ["supervised_contrastive_loss"]


def supervised_contrastive_loss(
    embeddings: Tensor,
    labels: Tensor,
    temperature: Tensor | float = 0.1,
    *,
    reduction: Reduction = "mean",
) -> Tensor:
    """Return the supervised contrastive loss, with the sum over positives outside the logarithm.

        L = - mean_i mean_(p in P(i)) log [ exp(z_i'z_p / t) / sum_(a != i) exp(z_i'z_a / t) ]

    over the samples i that have positives; P(i) are all other samples that share a class with i,
    and z = u / ||u||. For cross-modal training, concatenate the embeddings of all modalities.

    Source: Khosla et al.: Supervised Contrastive Learning, NeurIPS 2020, eq. 2. The paper has one
    class a sample and a sum over i; the mean differs by a factor.

    Args:
        embeddings: (n, d) float, u, of all modalities together, of any length.
        labels: (n, c) float, 1 where a sample has a class and 0 elsewhere.
        temperature: t > 0.
        reduction: "mean" or "sum" over the samples with positives, or "none" for their terms.

    Returns:
        A scalar, or one term for each sample that has positives; 0 if no sample has one.

    Raises:
        SettingError: If ``temperature`` is not above 0, or ``reduction`` is unknown.

    Example:
        >>> u = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
        >>> labels = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
        >>> round(float(supervised_contrastive_loss(u, labels, temperature=0.5)), 4)
        0.2395
    """
    check_temperature(temperature)
    positives = shares_class(labels, labels).fill_diagonal_(0)
    counts = positives.sum(dim=1)
    with_positives = counts > 0
    if not bool(with_positives.any()) and reduction != "none":
        return embeddings.sum() * 0
    z = normalize_rows(embeddings)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    scores = (z @ z.T / temperature).masked_fill(itself, -torch.inf)
    # The diagonal has weight 0, but 0 * -inf is NaN: replace it after the softmax.
    log_probabilities = scores.log_softmax(dim=1).masked_fill(itself, 0)
    means = (positives * log_probabilities).sum(dim=1)[with_positives] / counts[with_positives]
    return -reduce_loss(means, reduction)
