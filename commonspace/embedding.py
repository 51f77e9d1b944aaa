"""What a space asks of its network, and how the network is run over many items.

It knows nothing of how a space came about, or where it is kept.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from commonspace.data.columns import Images, Texts
from commonspace.encoders import Input
from commonspace.errors import DataError, SettingError
from commonspace.machine import reuse_memory

__all__ = ["EmbeddingNetwork", "InstanceWeightedNetwork", "embed_items", "weigh_queries"]

PORTION = 512
"""Raw items that are turned into network input at a time."""

LARGE = 64
"""Raw items from which on it pays to keep freed memory between batches."""

BATCH_NUMBERS = 2**23
"""Numbers that the network reads at a time: for large pictures that limits the batch."""


class EmbeddingNetwork(Protocol):
    """What a space expects of the module that it holds (which is an ``nn.Module`` besides)."""

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that it can embed."""

    @property
    def dimension(self) -> int:
        """d, the length of its vectors."""

    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        """Return (n, d) float32 vectors whose inner product is the score."""

    def to_config(self) -> dict[str, Any]:
        """Return a description, fit for JSON."""


@runtime_checkable
class InstanceWeightedNetwork(Protocol):
    """What a network has besides whose vectors may hold several blocks, weighed by the query."""

    @property
    def has_instance_block(self) -> bool:
        """Whether they do."""

    def as_queries(self, vectors: Tensor, instance_weight: float) -> Tensor:
        """Return vectors whose inner product with those of items is the score at that instance_weight.

        Args:
            vectors: (n, d) float32, as it embeds, in the memory of the CPU.
            instance_weight: from 0, "the same kind", to 1, "this very thing".

        Returns:
            (n, d) float32.
        """


def embed_items(
    network: nn.Module,
    modality: str,
    input_: Input,
    items: Any,  # noqa: ANN401 - what the modality reads
    batch_size: int,
) -> NDArray[np.float32]:
    """Return the vectors of items, a batch at a time.

    Args:
        network: an ``EmbeddingNetwork``, in evaluation mode.
        modality: one that it knows.
        input_: turns its items into network input.
        items: a column, features, or a list of raw items.
        batch_size: items that the network sees at a time, at most.

    Returns:
        (n, d) float32.

    Raises:
        DataError: the items are of another kind or size than the input reads.
    """
    device = next(network.parameters()).device
    parts = [np.empty((0, int(network.dimension)), dtype=np.float32)]  # type: ignore[arg-type]
    large = isinstance(items, Images | Texts | list | tuple) and len(items) >= LARGE
    with torch.inference_mode(), reuse_memory() if large else nullcontext():
        for some in _portions(items):  # raw items take little room, network input much
            prepared = input_(some)
            for batch in torch.split(prepared, min(batch_size, _most(prepared))):
                vectors: Tensor = network.embed(modality, batch.to(device))  # type: ignore[operator]
                parts.append(vectors.cpu().numpy())
    return np.concatenate(parts)


def weigh_queries(
    network: nn.Module, vectors: ArrayLike, instance_weight: float | None
) -> NDArray[np.float32]:
    """Return the vectors of queries, weighed for a instance_weight.

    Args:
        network: may be a ``InstanceWeightedNetwork``.
        vectors: (n, d), as it embeds.
        instance_weight: in [0, 1]; None leaves the vectors as they are.

    Returns:
        (n, d) float32.

    Raises:
        SettingError: the network knows no instance_weight, or it is not in [0, 1].
        DataError: the vectors are not of the network's size.
    """
    given, size = np.asarray(vectors, dtype=np.float32), network.dimension
    if given.ndim != 2 or given.shape[1] != size:
        raise DataError(
            "these are no vectors of the space",
            expected=f"(n, {size}), as embed returns them",
            found=f"{given.shape}",
            advice="embed the queries with this space first",
        )
    if instance_weight is None:
        return given
    if not (isinstance(network, InstanceWeightedNetwork) and network.has_instance_block):
        raise SettingError(
            "the space knows no instance_weight",
            expected="no instance_weight, or a space that was fitted with an instance block",
            found=repr(instance_weight),
            advice="leave it out, or fit the space with a method that has the dial",
        )
    if not 0 <= instance_weight <= 1:
        raise SettingError(
            "the instance_weight cannot work",
            expected='from 0, "the same kind", to 1, "this very thing"',
            found=repr(instance_weight),
            advice="leave it out to take the method's own",
        )
    weighed: NDArray[np.float32] = network.as_queries(torch.tensor(given), instance_weight).numpy()
    return weighed


def _portions(items: Any) -> Iterator[Any]:  # noqa: ANN401 - what a modality reads
    """Divide raw items; features, which are in memory anyway, stay in one piece."""
    whole = not isinstance(items, Images | Texts | list | tuple) or len(items) <= PORTION
    if whole:
        yield items
        return
    for start in range(0, len(items), PORTION):
        stop = min(start + PORTION, len(items))
        column = isinstance(items, Images | Texts)
        yield items.take(np.arange(start, stop)) if column else items[start:stop]


def _most(prepared: Tensor) -> int:
    return max(1, BATCH_NUMBERS // max(1, prepared[:1].numel()))
