"""The linear classifier of DSCMR in closed form, as the paper updates it at each step."""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["closed_form_classifier"]


@torch.no_grad()
def closed_form_classifier(representations: Sequence[Tensor], labels: Sequence[Tensor]) -> Tensor:
    """Return the classifier that the paper computes from the representations of a batch.

        P = (U U')^-1 U Y' + (V V')^-1 V Y'        with U, V (d, n) and Y (c, n)

    Source: Zhen et al., Deep Supervised Cross-modal Retrieval, CVPR 2019, the update of P in its
    algorithm. Each term is the least-squares solution of P'U = Y for one modality. A batch has
    usually fewer samples than dimensions, and then U U' has no inverse: the pseudo-inverse
    stands in its place and gives the solution of least norm. P is a constant to the gradient.

    Args:
        representations: for each modality (n, d) floating point, the transpose of U.
        labels: for each modality (n, c), the transpose of Y.

    Returns:
        (d, c), in the type of the representations: outputs are ``representation @ P``.

    Example:
        >>> closed_form_classifier([torch.eye(2)], [torch.tensor([[1.0], [0.0]])])
        tensor([[1.],
                [0.]])
    """
    solutions = [
        torch.linalg.pinv(U.double()) @ Y.double()
        for U, Y in zip(representations, labels, strict=True)
    ]
    return torch.stack(solutions).sum(dim=0).to(representations[0].dtype)
