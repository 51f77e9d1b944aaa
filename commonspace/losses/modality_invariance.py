"""Modality-invariance loss (J3 of DSCMR)."""

from torch import Tensor

from commonspace.losses.base import check_paired
from commonspace.losses.label_space import ResidualNorm, residual_norm

__all__ = ["modality_invariance_loss"]


def modality_invariance_loss(
    first: Tensor, second: Tensor, norm: ResidualNorm = "frobenius"
) -> Tensor:
    """Return the distance between the embeddings of the same samples in two modalities.

        J3 = (1/n) ||U - V||_F

    Source: Zhen et al., Deep Supervised Cross-modal Retrieval, CVPR 2019, eq. 4. The official code
    takes the mean of the norms of the rows instead: ``norm="rows"``.

    Args:
        first: (n, d) float, embeddings of one modality.
        second: (n, d) float, embeddings of the same samples in another modality.
        norm: "frobenius" (the paper) or "rows" (the official code).

    Returns:
        A scalar; 0 for n = 0.

    Raises:
        DataError: If the shapes differ.
        SettingError: If ``norm`` is unknown.

    Example:
        >>> import torch
        >>> modality_invariance_loss(torch.zeros(2, 2), torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor(2.5000)
    """
    check_paired(first, second)
    return residual_norm(first - second, norm)
