"""Several encoders side by side: their standardized features, one after the other."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["JoinedBackbone", "pack", "unpack"]

_DTYPES = (torch.uint8, torch.int64, torch.float32)
_HEADER = 8
"""Numbers in the header of a part: dtype, dimensions, then the sizes behind the first."""


class JoinedBackbone(nn.Module):
    """Features of several backbones, each centered and scaled to the same total variance.

    Part k is (f_k - m_k) / s_k, with the mean m_k of its features over the training samples and s_k
    the root of the sum of their variances, so that each encoder has the same weight in a distance.

    Args:
        backbones: the backbones, in order; each with a ``size``.
    """

    def __init__(self, backbones: Sequence[nn.Module]) -> None:
        super().__init__()
        self.backbones = nn.ModuleList(backbones)
        sizes = [int(one.size) for one in backbones]  # type: ignore[arg-type]
        self.size = sum(sizes)
        self.register_buffer("mean", torch.zeros(self.size))
        self.register_buffer("scale", torch.ones(len(sizes)))
        self._sizes = sizes

    @torch.no_grad()
    def standardize(self, features: Sequence[Tensor]) -> None:
        """Take mean and scale from the features of training samples.

        Args:
            features: (n, size) float32 for each backbone.
        """
        self.mean.copy_(torch.cat([part.mean(0) for part in features]))  # type: ignore[operator]
        spreads = [part.var(0, correction=0).sum().sqrt().clamp(min=1e-12) for part in features]
        self.scale.copy_(torch.stack(spreads))  # type: ignore[operator]

    def forward(self, packed: Tensor) -> Tensor:
        """Return the features.

        Args:
            packed: (n, bytes) uint8, what ``pack`` returned.

        Returns:
            (n, size) float32.
        """
        parts = unpack(packed, len(self.backbones))
        return self.combine(
            [backbone(part).float() for backbone, part in zip(self.backbones, parts, strict=True)]
        )

    def combine(self, features: Sequence[Tensor]) -> Tensor:
        """Return the features of all backbones as one.

        Args:
            features: (n, size) float32 for each backbone.

        Returns:
            (n, sum of the sizes) float32.
        """
        mean: Tensor = self.mean  # type: ignore[assignment]
        scale: Tensor = self.scale  # type: ignore[assignment]
        sizes = torch.tensor(self._sizes, device=scale.device)
        return (torch.cat(list(features), dim=1) - mean) / torch.repeat_interleave(scale, sizes)


def pack(parts: Sequence[Tensor]) -> Tensor:
    """Return several tensors of n rows each as one of bytes.

    Args:
        parts: tensors of uint8, int64 or float32 with the same first dimension n.

    Returns:
        (n, bytes) uint8. Each row holds, for each part, its dtype and shape and its values.

    Example:
        >>> parts = [torch.arange(6).reshape(2, 3), torch.ones(2, 1, 2)]
        >>> [part.tolist() for part in unpack(pack(parts), 2)]
        [[[0, 1, 2], [3, 4, 5]], [[[1.0, 1.0]], [[1.0, 1.0]]]]
    """
    rows = []
    for part in parts:
        header = np.zeros(_HEADER, dtype=np.int64)
        header[: part.ndim + 1] = (_DTYPES.index(part.dtype), part.ndim - 1, *part.shape[1:])
        repeated = torch.from_numpy(header).expand(len(part), -1).contiguous()
        values = part.reshape(len(part), -1).contiguous()
        rows += [repeated.view(torch.uint8), values.view(torch.uint8)]
    return torch.cat(rows, dim=1)


def unpack(packed: Tensor, count: int) -> list[Tensor]:
    """Return the tensors that ``pack`` joined.

    Args:
        packed: (n, bytes) uint8, all rows of the same layout.
        count: how many tensors there are.
    """
    parts = []
    start = 0
    for _ in range(count):
        end = start + 8 * _HEADER
        header = packed[0, start:end].cpu().clone().view(torch.int64).tolist()
        dtype, shape = _DTYPES[header[0]], header[2 : 2 + header[1]]
        start, end = end, end + dtype.itemsize * int(np.prod(shape))
        values = packed[:, start:end].clone(memory_format=torch.contiguous_format)
        parts.append(values.view(dtype).reshape(len(packed), *shape))
        start = end
    return parts
