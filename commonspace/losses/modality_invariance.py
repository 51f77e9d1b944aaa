"""J3: modality invariance. How far the representations of one sample are from each other."""

from torch import Tensor

from commonspace.losses.label_space import Reduction, residual_norm

__all__ = ["modality_invariance_loss"]


def modality_invariance_loss(first: Tensor, second: Tensor, reduction: Reduction) -> Tensor:
    """Return the modality-invariance loss of paired representations.

        J3 = (1/n) ||U - V||_F

    Source: Zhen et al., Deep Supervised Cross-modal Retrieval, CVPR 2019, eq. 4. The released code
    takes the mean of the rows' norms instead: ``reduction="rows"``.

    Args:
        first: (n, d) representations in one modality.
        second: (n, d) representations of the same samples in another.
        reduction: "frobenius" (the paper) or "rows" (the released code).

    Returns:
        A scalar.
    """
    return residual_norm(first - second, reduction)
