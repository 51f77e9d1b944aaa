"""Rows of a tensor in random order, with few pages of a table on disk in memory."""

import torch
from torch import Tensor

from commonspace.data.row_blocks import ON_DISK, random_rows

__all__ = ["random_tensor_rows"]


def random_tensor_rows(table: Tensor, rows: Tensor) -> Tensor:
    """Return ``table[rows]``; see ``random_rows``.

    Args:
        table: (n, ...), of a type that numpy has.
        rows: (b,) int64 on the same device.

    Example:
        >>> random_tensor_rows(torch.arange(5), torch.tensor([3, 0])).tolist()
        [3, 0]
    """
    if table.device.type != "cpu" or table.nbytes < ON_DISK:
        return table[rows]
    return torch.from_numpy(random_rows(table.numpy(), rows.numpy()))
