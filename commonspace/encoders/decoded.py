"""Photos decoded once into a memory-mapped file at the size of the network input.

The file lies in the cache folder, under the hash of the photos' content and of the pre-processing,
and may be deleted at any time.
"""

import json
import shutil
from collections.abc import Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from commonspace.atomic import replace_file
from commonspace.callbacks import Callback, Callbacks
from commonspace.encoders.cache import content_hash
from commonspace.encoders.inputs import Input
from commonspace.encoders.loading import prepared
from commonspace.errors import OutputError

__all__ = ["DecodedPhotos", "decode_photos"]

BATCH = 64
FREE_SHARE = 0.5
"""Share of the free space of the disk that decoded photos may fill."""


class DecodedPhotos:
    """Network input of photos, read from a memory-mapped file by their numbers.

    Args:
        path: What ``decode_photos`` returned.
    """

    def __init__(self, path: Path) -> None:
        # Copy on write: torch warns about arrays that cannot be written to.
        self._table: NDArray[Any] = np.load(path, mmap_mode="c")

    def __call__(self, items: Sequence[int]) -> Tensor:
        """Return (len(items), 3, h, w) network input of the photos with these numbers."""
        return torch.from_numpy(self._table[list(items)])


def decode_photos(
    input_: Input,
    items: Sequence[Any],
    folder: Path,
    workers: int,
    callback: Callback | None = None,
) -> Path | None:
    """Return the file with the network input of all photos, written if it is not there.

    Args:
        input_: Decodes and scales photos, all to one shape.
        items: n photos; None is a missing one, whose row is zero.
        folder: Of the cache.
        workers: Processes that decode.
        callback: Receives the progress.

    Returns:
        A .npy file of shape (n, 3, h, w); None if it would fill more than half of the free space.

    Raises:
        DataError: If a photo cannot be decoded.
        OutputError: If the file cannot be written.
    """
    rows = [row for row, item in enumerate(items) if item is not None]
    digest = sha256(json.dumps(input_.to_config(), sort_keys=True).encode())
    for item in items:
        digest.update(b"none" if item is None else content_hash(item))
    path = folder / "photos" / f"{digest.hexdigest()[:32]}.npy"
    if path.exists():
        return path
    first = input_([items[rows[0]]]).numpy()
    shape = (len(items), *first.shape[1:])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(path.parent).free
    except OSError as exc:
        raise OutputError(
            f"{path.parent} could not be made",
            expected="a folder for decoded photos",
            found=exc.strerror or str(exc),
            advice="set COMMONSPACE_CACHE to another folder",
        ) from exc
    if first.nbytes * len(items) > FREE_SHARE * free:
        return None
    batches = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    with (
        replace_file(path, overwrite=True) as draft,
        Callbacks([callback or Callback()]).task("decoding photos", len(rows)) as task,
        closing(prepared(input_, items, batches, workers)) as ready,
    ):
        table = np.lib.format.open_memmap(draft, mode="w+", dtype=first.dtype, shape=shape)
        for batch in ready:
            if batch.broken:
                raise batch.broken[0].error()
            assert batch.inputs is not None
            table[batch.rows] = batch.inputs.numpy()
            task.on_advance(len(batch.rows))
        table.flush()
    return path
