"""Extraction: a data set of raw items to the same data set with features.

Each distinct item is encoded once, and not again while its features are in the cache, so that an
interrupted run continues where it stopped.
"""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from commonspace.allocator import reuse_memory, trim_memory
from commonspace.callbacks import Callback, Callbacks
from commonspace.data.columns import Column, Features, Images, Texts
from commonspace.data.dataset import Dataset
from commonspace.data.row_blocks import rows_on_disk
from commonspace.encoders.cache import FeatureCache, content_hash
from commonspace.encoders.encoder import Encoder, separate
from commonspace.encoders.loading import Broken, prepared
from commonspace.engines import Engine
from commonspace.errors import DataError, check_settings
from commonspace.machine import available_cores
from commonspace.networks.backbones.joined import JoinedBackbone

__all__ = ["Extraction", "extract", "extract_column"]

WRITE_EVERY = 10.0
"""Seconds between writes to the cache; a killed run loses no more work than that."""
BLOCK = 4096
"""Rows of joined features that are computed at a time."""
SHARD = 4
"""Batches of a shard, for an engine."""


@dataclass(frozen=True)
class Extraction:
    """Settings of an extraction.

    Args:
        batch_size: items in a batch of the network.
        workers: processes that decode images; None: one for each core but one, from 1 to 4.
        precision: "float32", or "bfloat16" for faster and less exact products.
        device: device of the networks.
        on_error: "stop" raises an error at an item that cannot be read; "skip" treats it as missing
            and lists it.
        cache: folder of the feature cache; None: no cache.
        engine: runs shards of the items, each of which is decoded and encoded by one worker; None:
            this process. The features are equal.

    Raises:
        SettingError: If a value is out of range.
    """

    batch_size: int = 32
    workers: int | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    device: str = "cpu"
    on_error: Literal["stop", "skip"] = "stop"
    cache: Path | None = None
    engine: Engine | None = None

    def __post_init__(self) -> None:
        checks = (
            ("batch_size", self.batch_size >= 1, "at least 1"),
            ("workers", self.workers is None or self.workers >= 0, "0 or more"),
            ("precision", self.precision in ("float32", "bfloat16"), "'float32' or 'bfloat16'"),
            ("on_error", self.on_error in ("stop", "skip"), "'stop' or 'skip'"),
        )
        check_settings(self, checks)


def extract(
    data: Dataset,
    encoders: Mapping[str, Encoder],
    settings: Extraction | None = None,
    callback: Callback | None = None,
) -> Dataset:
    """Return the data set with features in place of raw items.

    Args:
        data: the samples.
        encoders: modality -> its encoder; other columns stay as they are.
        settings: of the extraction; None: the defaults.
        callback: receives the progress: a task for each modality, whose steps are distinct items.

    Returns:
        The same samples in the same order, with the provenance of each encoder in
        ``provenance["encoders"]``. Items that cannot be read are missing, samples without any item
        are left out, and ``warnings`` names each.

    Raises:
        DataError: If an item cannot be read and ``on_error`` is "stop", or no sample is left.
        OutputError: If the cache cannot be written.
    """
    settings = settings or Extraction()
    columns: dict[str, Column] = dict(data.columns)
    problems: list[str] = []
    for modality, encoder in encoders.items():
        columns[modality], broken = _features(
            data, modality, encoder, settings, callback or Callback()
        )
        problems += [
            f"sample {data.ids[item.row]!r}, {modality}: {item.problem} ({item.found}); it counts"
            " as missing"
            for item in broken
        ]
    left = np.any([column.present for column in columns.values()], axis=0)
    problems += [
        f"sample {data.ids[row]!r} is left out: nothing of it could be read"
        for row in np.flatnonzero(~left)
    ]
    if not left.any():
        raise DataError(
            f"no sample of {data.name!r} is left",
            expected="at least one item that can be read",
            found="; ".join(problems[:3]),
            advice="check the files",
        )
    whole = data if left.all() else data.take(np.flatnonzero(left))
    remaining = {name: column.take(np.flatnonzero(left)) for name, column in columns.items()}
    provenance = {
        modality: {**encoder.provenance, "precision": settings.precision}
        for modality, encoder in encoders.items()
    }
    earlier = data.provenance.get("encoders", {})
    return replace(
        whole,
        columns=columns if left.all() else remaining,
        provenance={**data.provenance, "encoders": {**earlier, **provenance}},
        warnings=(*data.warnings, *problems),
    )


def extract_column(
    column: Images | Texts, encoder: Encoder, settings: Extraction, name: str = "items"
) -> Features:
    """Return the features of a column, whose items are all present and can be read.

    Args:
        column: n images or texts.
        encoder: the encoder.
        settings: of the extraction.
        name: of the column, for messages.

    Raises:
        DataError: If an item cannot be read.
        OutputError: If the cache cannot be written.
    """
    data = Dataset(
        name=name,
        ids=tuple(map(str, range(len(column)))),
        columns={name: column},
        labels=np.zeros((len(column), 0), dtype=bool),
        class_names=(),
        splits=np.full(len(column), "train"),
    )
    return _features(data, name, encoder, settings, Callback())[0]


def _features(
    data: Dataset, modality: str, encoder: Encoder, settings: Extraction, callback: Callback
) -> tuple[Features, list[Broken]]:
    """Return the features of a column, and the items that could not be read.

    Encoders side by side are extracted one by one, so that each shares its cache with itself alone.
    """
    found = [_Work(data, modality, one, settings, callback).run() for one in separate(encoder)]
    if len(found) == 1:
        return found[0]
    assert isinstance(encoder.backbone, JoinedBackbone)
    columns = [column for column, _ in found]
    present = np.all([column.present for column in columns], axis=0)
    values = rows_on_disk(len(present), encoder.size)
    joined = encoder.backbone
    device = next(joined.buffers()).device
    for start in range(0, len(present), BLOCK):
        rows = slice(start, start + BLOCK)
        parts = [torch.from_numpy(np.array(column.values[rows])).to(device) for column in columns]
        values[rows] = joined.combine(parts).cpu().numpy()
    values[~present] = 0
    broken = {item.row: item for _, items in found for item in items}
    return Features(values, present), [broken[row] for row in sorted(broken)]


class _Work:
    """The extraction of one modality."""

    def __init__(
        self,
        data: Dataset,
        modality: str,
        encoder: Encoder,
        settings: Extraction,
        callback: Callback,
    ) -> None:
        self._column = _raw(data, modality)
        self._data, self._modality = data, modality
        self._encoder, self._settings, self._callback = encoder, settings, callback
        recipe = f"{encoder.provenance['sha256']} {settings.precision}"
        self._cache = FeatureCache(
            settings.cache, sha256(recipe.encode()).hexdigest(), encoder.size
        )

    def run(self) -> tuple[Features, list[Broken]]:
        """Return the column of features, and the items that could not be read."""
        values = rows_on_disk(len(self._column), self._encoder.size)
        keys, broken = self._keys()
        first = {key: row for row, key in reversed(keys.items())}
        done = self._cache.take(first, values)
        todo = sorted(row for key, row in first.items() if key not in done)
        task = f"encoding {self._modality}"
        with Callbacks([self._callback]).task(task, len(first), len(done)):
            broken += self._compute(sorted(todo, key=self._effort), keys, values)
        same = {keys[item.row]: item for item in broken if item.row in keys}
        never = [item for item in broken if item.row not in keys]
        again = [same[key]._replace(row=row) for row, key in keys.items() if key in same]
        present = np.zeros(len(values), dtype=bool)
        for row, key in keys.items():
            values[row] = values[first[key]]
            present[row] = key not in same
        values[~present] = 0
        return Features(values, present), sorted(never + again)

    def _keys(self) -> tuple[dict[int, bytes], list[Broken]]:
        """Return the hash of each present item, and the items that could not be opened."""
        keys: dict[int, bytes] = {}
        broken: list[Broken] = []
        for row in np.flatnonzero(self._column.present).tolist():
            try:
                keys[row] = content_hash(self._column.items[row])
            except OSError as exc:
                problem = f"{self._column.items[row]} cannot be opened"
                found = exc.strerror or type(exc).__name__
                item = Broken(row, problem, "a file", found, "check its name and its permissions")
                broken.append(self._accept(item))
        return keys, broken

    def _compute(
        self, todo: Sequence[int], keys: Mapping[int, bytes], values: NDArray[np.float32]
    ) -> list[Broken]:
        size = self._settings.batch_size
        batches = [todo[start : start + size] for start in range(0, len(todo), size)]
        broken: list[Broken] = []
        waiting: list[int] = []
        written_at = time.monotonic()
        try:
            with reuse_memory(), closing(self._encoded(batches)) as encoded:
                for batch in encoded:
                    broken += [self._accept(item) for item in batch.broken]
                    if batch.features is not None:
                        values[batch.rows] = batch.features
                        waiting += batch.rows
                    self._callback.on_advance(len(batch.rows) + len(batch.broken))
                    if time.monotonic() - written_at > WRITE_EVERY:
                        self._store(waiting, keys, values)
                        waiting, written_at = [], time.monotonic()
                        trim_memory()
        finally:
            self._store(waiting, keys, values)
        return broken

    def _encoded(self, batches: Sequence[Sequence[int]]) -> Generator["_Encoded", None, None]:
        """Yield the features of each batch, in order: of this process, or of an engine."""
        items, engine = self._column.items, self._settings.engine
        if engine is None:
            yield from _encode(self._encoder, self._settings, items, batches, self._workers())
            return
        shards = []
        for start in range(0, len(batches), SHARD):
            some = batches[start : start + SHARD]
            shards.append(_Shard(some, {row: items[row] for rows in some for row in rows}))
        work = _EncodeShard(self._encoder, replace(self._settings, engine=None))
        for found in engine.map(work, shards):
            yield from found

    def _store(
        self, rows: list[int], keys: Mapping[int, bytes], values: NDArray[np.float32]
    ) -> None:
        self._cache.put([keys[row] for row in rows], values[rows])

    def _accept(self, item: Broken) -> Broken:
        """Return an item that could not be read, or raise its error."""
        if self._settings.on_error == "skip":
            return item
        raise DataError(
            f"sample {self._data.ids[item.row]!r}, {self._modality}: {item.problem}",
            expected=item.expected,
            found=item.found,
            advice=f"{item.advice}; commonspace extract --on-error skip leaves such items out",
        )

    def _workers(self) -> int:
        if isinstance(self._column, Texts):
            return 0  # tokenizers are fast, and use threads of their own
        if self._settings.workers is not None:
            return self._settings.workers
        return max(1, min(available_cores() - 1, 4))  # one core is left to the network

    def _effort(self, row: int) -> int:
        """Return the length of texts, so that batches have little padding; 0 for images."""
        item = self._column.items[row]
        return sum(map(len, item)) if isinstance(item, tuple) else 0


class _Encoded(NamedTuple):
    """The features of a batch."""

    rows: Sequence[int]
    features: NDArray[np.float32] | None
    """(m, size) of the m rows; None if no item could be read."""
    broken: Sequence[Broken]


class _Shard(NamedTuple):
    """Some batches of rows, with their items."""

    batches: Sequence[Sequence[int]]
    items: Mapping[int, Any]


@dataclass(frozen=True)
class _EncodeShard:
    """Decodes and encodes the batches of a shard: the work of an engine."""

    encoder: Encoder
    settings: Extraction

    def __call__(self, shard: _Shard) -> list[_Encoded]:
        """Return the features of each batch."""
        return list(_encode(self.encoder, self.settings, shard.items, shard.batches, 0))


def _encode(
    encoder: Encoder,
    settings: Extraction,
    items: Mapping[int, Any] | Sequence[Any],
    batches: Sequence[Sequence[int]],
    workers: int,
) -> Iterator[_Encoded]:
    """Yield the features of each batch, in order."""
    encode = _encoding(encoder, settings)
    with closing(prepared(encoder.input, items, batches, workers)) as ready:
        for batch in ready:
            features = None if batch.inputs is None else encode(batch.inputs)
            yield _Encoded(batch.rows, features, batch.broken)


def _raw(data: Dataset, modality: str) -> Images | Texts:
    column = data.columns.get(modality)
    if isinstance(column, Images | Texts):
        return column
    raise DataError(
        f"there is nothing to extract from {modality!r} of {data.name!r}",
        expected="a column of images or texts",
        found="no such column" if column is None else repr(column),
        advice=f"choose one of {', '.join(data.modalities)}"
        if column is None
        else "these are features already: leave the column out",
    )


def _encoding(
    encoder: Encoder, settings: Extraction
) -> Callable[[torch.Tensor], NDArray[np.float32]]:
    """Return the function that turns network input into features."""
    device = torch.device(settings.device)
    backbone = encoder.backbone.to(device)
    lower = settings.precision == "bfloat16"

    @torch.inference_mode()
    def encode(inputs: torch.Tensor) -> NDArray[np.float32]:
        with torch.autocast(device.type, torch.bfloat16, enabled=lower):
            features: torch.Tensor = backbone(inputs.to(device))
        values: NDArray[np.float32] = features.float().cpu().numpy()
        return values

    return encode
