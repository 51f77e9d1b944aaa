"""Samples of one split as tensors: batches for training, and embeddings of all of them.

Raw items are converted to network input once, before the first epoch, and stay on the device of
the network. Images that would fill the memory are decoded once into a memory-mapped file, or batch
by batch in worker processes if the disk is too small for it.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from commonspace.cache_folder import default_cache
from commonspace.callbacks import Callback
from commonspace.data.columns import Column, Images
from commonspace.data.dataset import Dataset
from commonspace.data.row_blocks import release_rows, to_rows
from commonspace.encoders.decoded import DecodedPhotos, decode_photos
from commonspace.encoders.inputs import Input
from commonspace.encoders.loading import prepared
from commonspace.errors import TrainingError
from commonspace.machine import available_cores
from commonspace.training.batch import Batch
from commonspace.training.random_rows import random_tensor_rows

if TYPE_CHECKING:
    from commonspace.distributed import Processes

__all__ = ["Samples"]

MEMORY = 2**30
"""Bytes of memory that the images of one modality may fill."""

RELEASED = 2
"""Parts after which the rows of features on disk leave the memory of the process."""

PART_NUMBERS = 2**23
"""Largest number of input values that a network gets at a time outside training."""


class Samples:
    """One split of a data set, on one device.

    Args:
        data: The split, such as ``dataset.split("train")``.
        inputs: Modality name -> converter of its items to network input.
        device: Device of the tensors.
        memory: Bytes that the images of one modality may fill.
        callback: Receives the progress of decoding images into a file.
        changes: Modality name -> random change of its network input in batches, such as
            ``augment``, which also takes the size of the whole batch and the start of a share of
            it; embeddings are of the unchanged input.
        processes: Those of this training: each decodes a share of the images, which they exchange.

    Raises:
        DataError: If a column is of another type or size than its input expects, or an image
            cannot be decoded.
        OutputError: If decoded images cannot be written.
    """

    def __init__(
        self,
        data: Dataset,
        inputs: Mapping[str, Input],
        device: torch.device,
        memory: int = MEMORY,
        callback: Callback | None = None,
        changes: Mapping[str, Callable[..., Tensor]] | None = None,
        processes: "Processes | None" = None,
    ) -> None:
        self._changes = changes or {}
        large = [
            name
            for name, make in inputs.items()
            if isinstance(column := data.columns[name], Images) and _bytes(make, column) > memory
        ]
        # The first process writes the file of decoded images, and the others find it.
        with processes.first_alone() if processes and large else nullcontext():
            self._late: dict[str, tuple[Callable[[Any], Tensor], Sequence[Any]]] = {
                name: _decoded_once(inputs[name], cast(Images, data.columns[name]), callback)
                for name in large
            }
        self.inputs = {
            name: _network_input(make, data.columns[name], processes).to(device)
            for name, make in inputs.items()
            if name not in self._late
        }
        self.present = {
            name: torch.from_numpy(data.columns[name].present).to(device) for name in inputs
        }
        self.labels = torch.from_numpy(to_rows(data.labels)).to(device)
        self.columns = {name: data.columns[name] for name in inputs}
        self._complete = {name: bool(mask.all()) for name, mask in self.present.items()}
        self._all_complete = all(self._complete.values()) and bool(data.labels.any(axis=1).all())
        self._device = device

    def __len__(self) -> int:
        """Return the number of samples, n."""
        return len(self.labels)

    def batch(self, rows: Tensor) -> Batch:
        """Return the samples at ``rows``, (b,) int64 on the same device.

        A modality that none of them has is left out of ``inputs``.

        Raises:
            DataError: If an image cannot be decoded.
        """
        return next(self.batches([rows], workers=0))

    def batches(
        self,
        chunks: Sequence[Tensor],
        workers: int | None = None,
        processes: "Processes | None" = None,
    ) -> Iterator[Batch]:
        """Yield the samples of each chunk of rows.

        Args:
            chunks: (b,) int64 each, on the same device.
            workers: Processes that decode images ahead; None: one per core, at most 4.
            processes: Those of this training; each gets the inputs of its share of every chunk.

        Raises:
            DataError: If an image cannot be decoded.
        """
        own = {name: self._shares(name, chunks, processes) for name in self.present}
        late = {name: self._decoded(name, own[name], workers) for name in self._late}
        for number, rows in enumerate(chunks):
            present = {name: mask[rows] for name, mask in self.present.items()}
            inputs = {}
            for name in self.present:
                chosen = own[name][number]
                if len(chosen):
                    if name in late:
                        values = next(late[name])
                    else:
                        values = random_tensor_rows(self.inputs[name], chosen)
                elif processes and present[name].any():
                    values = self._no_input(name)
                else:
                    continue
                inputs[name] = self._changed(name, values, present[name], processes)
            labels = random_tensor_rows(self.labels, rows)
            yield Batch(inputs, present, labels, rows, self._all_complete)

    def _changed(
        self, modality: str, values: Tensor, present: Tensor, processes: "Processes | None"
    ) -> Tensor:
        """Return the network input of a batch, or of the own share of it, after random changes."""
        change = self._changes.get(modality)
        if change is None:
            return values
        if processes is None:
            return change(values)
        whole = int(present.sum())
        return change(values, whole, processes.share(whole).start)

    def _shares(
        self, modality: str, chunks: Sequence[Tensor], processes: "Processes | None"
    ) -> list[Tensor]:
        """Return the rows of each chunk that have a modality, of the share of this process."""
        mask, complete = self.present[modality], self._complete[modality]
        chosen = [rows if complete else rows[mask[rows]] for rows in chunks]
        return [rows[processes.share(len(rows))] for rows in chosen] if processes else chosen

    def _no_input(self, modality: str) -> Tensor:
        """Return the network input of no samples: (0, ...)."""
        if modality not in self._late:
            return self.inputs[modality][:0]
        make, items = self._late[modality]
        first = int(self.present[modality].nonzero()[0])
        return make([items[first]])[:0].to(self._device)

    def parts(self, modality: str, size: int) -> Iterator[Tensor]:
        """Yield the network input of all samples that have a modality, in order, in parts.

        Args:
            modality: Its name.
            size: Maximum number of samples in a part; large images come in smaller parts.

        Raises:
            DataError: If an image cannot be decoded.
        """
        rows = self.present[modality].nonzero()[:, 0]
        if modality in self._late:
            make, items = self._late[modality]
            most = PART_NUMBERS // make([items[int(rows[0])]]).numel() if len(rows) else 1
            yield from self._decoded(modality, torch.split(rows, max(1, min(size, most))), None)
        else:
            held = self.inputs[modality]
            if not self._complete[modality]:
                held = held[rows]
            most = PART_NUMBERS // max(1, held[:1].numel())
            for number, part in enumerate(torch.split(held, max(1, min(size, most)))):
                if number % RELEASED == 0:
                    release_rows()
                yield part

    def even(self, modality: str, count: int) -> Tensor:
        """Return (count, ...), the network input of an even selection of the samples.

        Args:
            modality: Its name.
            count: At most the number of samples that have it.

        Raises:
            DataError: If an image cannot be decoded.
        """
        rows = self.present[modality].nonzero()[:, 0]
        places = torch.linspace(0, len(rows) - 1, count, dtype=torch.float64).round().long()
        rows = rows[places.to(rows.device)]
        if modality in self._late:
            return torch.cat(list(self._decoded(modality, torch.split(rows, 512), None)))
        return random_tensor_rows(self.inputs[modality], rows)

    def _decoded(
        self, modality: str, chunks: Sequence[Tensor], workers: int | None
    ) -> Iterator[Tensor]:
        make, items = self._late[modality]
        if isinstance(make, DecodedPhotos):
            workers = 0
        mask = self.present[modality]
        batches = [chosen for rows in chunks if (chosen := rows[mask[rows]].tolist())]
        count = min(os.cpu_count() or 1, 4) if workers is None else workers
        with closing(prepared(make, items, batches, count)) as ready:
            for batch in ready:
                if batch.broken:
                    raise batch.broken[0].error()
                assert batch.inputs is not None
                yield batch.inputs.to(self._device)

    @torch.inference_mode()
    def embed(self, network: nn.Module, batch_size: int = 512) -> dict[str, NDArray[np.float32]]:
        """Return the embeddings of every modality.

        Args:
            network: In evaluation mode, on the device of the samples.
            batch_size: Maximum number of samples in a batch.

        Returns:
            Modality name -> (n_m, d) float32, a row for each sample that has it.

        Raises:
            TrainingError: If an embedding is not finite.
            DataError: If an image cannot be decoded.
        """
        embeddings = {}
        for name in self.present:
            parts = [network.embed(name, part) for part in self.parts(name, batch_size)]  # type: ignore[operator]
            embeddings[name] = torch.cat(parts).cpu().numpy()
        for name, vectors in embeddings.items():
            bad = int((~np.isfinite(vectors).all(axis=1)).sum())
            if bad:
                raise TrainingError(
                    f"the network no longer embeds {name!r} in finite numbers",
                    expected="finite embeddings of the validation split",
                    found=f"{bad} of {len(vectors)} are not",
                    advice="lower the learning rate, or scale the features to about unit size",
                )
        return embeddings


def _decoded_once(
    make: Input, column: Images, callback: Callback | None
) -> tuple[Any, Sequence[Any]]:
    """Return an input and its items: decoded photos by number, or the photos themselves."""
    workers = min(available_cores(), 4)
    path = decode_photos(make, column.items, default_cache(), workers, callback)
    return (make, column.items) if path is None else (DecodedPhotos(path), range(len(column)))


def _network_input(make: Input, column: Column, processes: "Processes | None") -> Tensor:
    """Return the network input of a column; several processes decode a share of images each."""
    if processes is None or not isinstance(column, Images):
        return make(column)
    share = processes.share(len(column))
    counts = processes.counts(int(column.present[share].sum()))
    if not all(counts):  # a share without an image has no known shape
        return make(column)
    own = make(column.take(np.arange(share.start, share.stop)))
    return processes.gather(own.to(processes.device)).cpu()


def _bytes(make: Input, column: Column) -> int:
    """Return the size of the network input of a column in bytes."""
    first = np.flatnonzero(column.present)[:1]
    return make(column.take(first)).nbytes * len(column)
