"""Batched embedding of items by a network, and query vectors with an instance weight."""

from collections.abc import Iterator
from contextlib import nullcontext
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from commonspace.data.columns import Images, Texts
from commonspace.encoders import Input
from commonspace.errors import DataError, SettingError, SpaceError
from commonspace.machine import reuse_memory

__all__ = ["embed_items", "weight_queries"]

CHUNK = 512
"""Raw items that are turned into network input at a time."""

LARGE = 64
"""Number of raw items from which freed memory is kept between batches."""

BATCH_NUMBERS = 2**23
"""Numbers that the network reads at a time, which limits batches of large images."""


def embed_items(
    network: nn.Module,
    modality: str,
    input_: Input,
    items: Any,  # noqa: ANN401 - what the modality reads
    batch_size: int,
) -> NDArray[np.float32]:
    """Return the embeddings of items, computed in batches.

    Args:
        network: A ``Network`` in evaluation mode.
        modality: One of its modalities.
        input_: Turns the items into network input.
        items: A column, features, or a list of raw items.
        batch_size: Maximum number of items in a batch.

    Returns:
        (n, d) float32.

    Raises:
        DataError: If the items are of another kind or size than the input reads.
        SpaceError: If the network returns anything but (n, d) embeddings.
    """
    dimension = int(network.dimension)  # type: ignore[arg-type]
    tensor = next(chain(network.parameters(), network.buffers()), None)
    device = torch.device("cpu") if tensor is None else tensor.device
    parts = [np.empty((0, dimension), dtype=np.float32)]
    large = isinstance(items, Images | Texts | list | tuple) and len(items) >= LARGE
    with torch.inference_mode(), reuse_memory() if large else nullcontext():
        for chunk in _chunks(items):  # raw items need little memory, network input much
            prepared = input_(chunk)
            for batch in torch.split(prepared, min(batch_size, _largest_batch(prepared))):
                vectors: Tensor = network.embed(modality, batch.to(device))  # type: ignore[operator]
                if vectors.shape != (len(batch), dimension):
                    raise SpaceError(
                        f"{type(network).__name__}.embed returned embeddings of a wrong shape",
                        expected=f"({len(batch)}, {dimension}) for {modality!r}",
                        found=f"{tuple(vectors.shape)}",
                        advice="correct embed() or `dimension` of the network",
                    )
                parts.append(vectors.float().cpu().numpy())
    return np.concatenate(parts)


def weight_queries(
    network: nn.Module, vectors: ArrayLike, instance_weight: float | None
) -> NDArray[np.float32]:
    """Return query vectors whose inner product with embeddings is the weighted score.

    Args:
        network: A ``Network``, with an instance block unless ``instance_weight`` is None.
        vectors: (n, d) embeddings of the queries.
        instance_weight: In [0, 1]: 0 ranks by class, 1 by exact item; None returns the embeddings.

    Returns:
        (n, d) float32.

    Raises:
        SettingError: If the network has no instance block, or the weight is not in [0, 1].
        DataError: If the vectors do not have d columns.
    """
    queries, size = np.asarray(vectors, dtype=np.float32), network.dimension
    if queries.ndim != 2 or queries.shape[1] != size:
        raise DataError(
            "query embeddings have a wrong shape",
            expected=f"(n, {size}), as embed returns them",
            found=f"{queries.shape}",
            advice="embed the queries with this model first",
        )
    if instance_weight is None:
        return queries
    if not getattr(network, "has_instance_block", False):
        raise SettingError(
            "`instance_weight` is not supported by this model: it has no instance block",
            expected="instance_weight=None, or a model with an instance block",
            found=repr(instance_weight),
            advice="leave it out, or train with PosteriorMatching on pairs",
        )
    if not 0 <= instance_weight <= 1:
        raise SettingError(
            f"`instance_weight` must be in [0, 1], got {instance_weight!r}",
            expected="from 0 (rank by class) to 1 (rank by exact item)",
            advice="leave it out for the weight that the model was trained with",
        )
    weighted: NDArray[np.float32] = network.as_queries(  # type: ignore[operator]
        torch.tensor(queries), instance_weight
    ).numpy()
    return weighted


def _chunks(items: Any) -> Iterator[Any]:  # noqa: ANN401 - what a modality reads
    """Divide raw items; features, which are in memory already, stay in one chunk."""
    small = not isinstance(items, Images | Texts | list | tuple) or len(items) <= CHUNK
    if small:
        yield items
        return
    for start in range(0, len(items), CHUNK):
        stop = min(start + CHUNK, len(items))
        column = isinstance(items, Images | Texts)
        yield items.take(np.arange(start, stop)) if column else items[start:stop]


def _largest_batch(prepared: Tensor) -> int:
    return max(1, BATCH_NUMBERS // max(1, prepared[:1].numel()))
