"""InfoNCE where several items may be the very same thing: each picks all that are its own."""

from torch import Tensor

__all__ = ["multi_positive_info_nce_loss"]


def multi_positive_info_nce_loss(
    first: Tensor, second: Tensor, same: Tensor, scale: Tensor | float
) -> Tensor:
    """Return the symmetric contrastive loss of representations, some of which are of one thing.

        L = -(1/2n) sum_i [ sum_j T_ij log softmax_j(s u_i'v_j) + the same with u and v exchanged ]

    with T_ij = 1 / |{j: i and j are the same}| where they are, else 0. With nothing but pairs this
    is InfoNCE in both directions (Radford et al.: Learning Transferable Visual Models From Natural
    Language Supervision, ICML 2021, figure 3). Catalogues repeat texts word for word: without T,
    a model is punished for finding a text that is equal to the right one.

    Args:
        first: (n, d) unit vectors of one modality.
        second: (n, d) unit vectors of another, row i belonging to row i.
        same: (n, n) bool, symmetric, true on the diagonal.
        scale: s above 0, one over the temperature.

    Returns:
        A scalar; 0 for fewer than two pairs.

    Example:
        >>> import torch
        >>> u, same = torch.eye(2), torch.tensor([[True, False], [False, True]])
        >>> round(float(multi_positive_info_nce_loss(u, u, same, 2.0)), 4), round(float(-torch.tensor(
        ...     [2.0, 0.0]).log_softmax(0)[0]), 4)
        (0.1269, 0.1269)
    """
    if len(first) < 2:
        return first.sum() * 0 + second.sum() * 0
    scores = scale * first @ second.T
    own = same.to(scores.dtype)
    own = own / own.sum(dim=1, keepdim=True)
    forth = (own * scores.log_softmax(dim=1)).sum(dim=1).mean()
    back = (own * scores.T.log_softmax(dim=1)).sum(dim=1).mean()
    return -(forth + back) / 2
