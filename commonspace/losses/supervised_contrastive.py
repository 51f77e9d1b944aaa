"""Supervised contrast: whatever shares a class is drawn near, whatever does not is pushed away."""

import torch
from torch import Tensor

from commonspace.losses.common_space import shares_class
from commonspace.losses.unit_rows import unit_rows

__all__ = ["supervised_contrastive_loss"]


def supervised_contrastive_loss(
    representations: Tensor, labels: Tensor, temperature: float
) -> Tensor:
    """Return the supervised contrastive loss, with the sum over positives outside the logarithm.

        L = - mean_i mean_(p in P(i)) log [ exp(z_i'z_p / t) / sum_(a != i) exp(z_i'z_a / t) ]

    over the samples i that have positives; P(i) are all others that share a class with i, and
    z = u / ||u||. Source: Khosla et al.: Supervised Contrastive Learning, NeurIPS 2020, eq. 2. The
    paper has one class a sample and a sum over i; the mean differs by a factor.

    Args:
        representations: (n, d), u, of all modalities together.
        labels: (n, c) float, 1 where a sample carries a class.
        temperature: t, above 0.

    Returns:
        A scalar; 0 where no sample has a positive.
    """
    alike = shares_class(labels, labels).fill_diagonal_(0)
    counts = alike.sum(dim=1)
    with_positives = counts > 0
    if not bool(with_positives.any()):
        return representations.sum() * 0
    z = unit_rows(representations)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    scores = (z @ z.T / temperature).masked_fill(itself, -torch.inf)
    # Beside itself a sample has weight 0, and 0 times -inf is no number: the mask comes off again.
    log_shares = scores.log_softmax(dim=1).masked_fill(itself, 0)
    means = (alike * log_shares).sum(dim=1)[with_positives] / counts[with_positives]
    return -means.mean()
