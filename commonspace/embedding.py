"""Batched embedding of items by a network."""

from collections.abc import Iterator
from contextlib import nullcontext
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from commonspace.allocator import reuse_memory
from commonspace.cache_folder import default_cache
from commonspace.data.columns import Column, Images, Texts
from commonspace.encoders import Encoder, Extraction, Input, Vectors, input_reads
from commonspace.encoders.encoder import encoder_sha256, weights_sha256
from commonspace.encoders.extract import extract_column
from commonspace.errors import SpaceError
from commonspace.networks.network import MultiBranchNetwork

__all__ = ["embed_column", "embed_items"]

CHUNK = 512
"""Raw items that are turned into network input at a time."""

LARGE = 64
"""Number of raw items from which freed memory is kept between batches."""

LEAST_CACHED = 16
"""Number of raw items from which features are taken from the cache: not for single queries."""

BATCH = 512
"""Maximum number of items in a batch of a data set."""

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
    device = _device(network)
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


def embed_column(
    network: nn.Module, modality: str, input_: Input, column: Column
) -> NDArray[np.float32]:
    """Return the embeddings of a column whose backbone is an encoder, through the feature cache.

    Args:
        network: In evaluation mode.
        modality: One of its modalities.
        input_: Turns items into network input.
        column: n items, all of them present.

    Returns:
        (n, d) float32.

    Raises:
        DataError: If an item cannot be read, or the column is of another kind or size.
        OutputError: If the cache cannot be written.
    """
    if (
        not isinstance(network, MultiBranchNetwork)
        or not isinstance(column, Images | Texts)
        or input_reads(input_) != column.kind
        or len(column) < LEAST_CACHED
    ):
        return embed_items(network, modality, input_, column, BATCH)
    backbone, config = network.backbone(modality), network.config.backbones[modality]
    digest = encoder_sha256(input_, config, weights_sha256(backbone))
    encoder = Encoder(input_, backbone, config, {"sha256": digest})
    settings = Extraction(device=str(_device(network)), cache=default_cache())
    features = extract_column(column, encoder, settings, modality)
    head = network.without_backbone(modality)
    return embed_items(head, modality, Vectors(features.size), features, BATCH)


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


def _device(network: nn.Module) -> torch.device:
    tensor = next(chain(network.parameters(), network.buffers()), None)
    return torch.device("cpu") if tensor is None else tensor.device
