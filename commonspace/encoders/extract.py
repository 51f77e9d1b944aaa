"""A data set of raw items -> the same data set of features: read, encode, keep.

Each item is encoded once, however often it occurs, and never again while its features are in the
cache; so a run that was stopped goes on where it was. It knows nothing of where encoders come from.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from commonspace.data.columns import Column, Features, Images, Texts
from commonspace.data.dataset import Dataset
from commonspace.encoders.cache import FeatureCache, content_hash
from commonspace.encoders.encoder import Encoder
from commonspace.encoders.loading import Broken, prepared
from commonspace.errors import DataError, check_settings
from commonspace.machine import cores, reuse_memory, trim_memory

__all__ = ["Extraction", "Watcher", "extract"]

KEEP_EVERY = 10.0
"""Seconds after which what was computed is kept; a kill loses no more than that."""


class Watcher(Protocol):
    """Somebody who watches an extraction: a progress bar, a benchmark."""

    def started(self, modality: str, items: int, done: int) -> None:
        """Hear how many distinct items a modality has, and how many were in the cache."""

    def advanced(self, items: int) -> None:
        """Hear that so many more are done."""

    def ended(self) -> None:
        """Hear that a modality is done, or that the run is broken off."""


@dataclass(frozen=True)
class Extraction:
    """How to extract.

    Args:
        batch_size: items that the network sees at a time.
        workers: other processes that decode images; None: one for each core but
            one, at least 1 and at most 4.
        precision: "float32", or "bfloat16" for faster and coarser products.
        device: where the networks compute.
        on_error: whether an item that cannot be read stops the run ("stop"), or counts as missing
            and is listed ("skip").
        cache: the folder where features are kept; None keeps nothing.

    Raises:
        SettingError: a value that cannot work.
    """

    batch_size: int = 32
    workers: int | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    device: str = "cpu"
    on_error: Literal["stop", "skip"] = "stop"
    cache: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work, before any time is spent."""
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
    watcher: Watcher | None = None,
) -> Dataset:
    """Return the data set with features in place of raw items.

    Args:
        data: the samples.
        encoders: modality -> its encoder; other columns stay as they are.
        settings: how to extract; None takes the defaults.
        watcher: hears of the progress.

    Returns:
        The same samples in the same order, with the facts of each encoder in
        ``provenance["encoders"]``. Items that cannot be read are missing, samples with nothing left
        are left out, and ``warnings`` names each.

    Raises:
        DataError: an item cannot be read and ``on_error`` is "stop"; or no sample is left.
        OutputError: the cache cannot be written.
    """
    settings = settings or Extraction()
    columns: dict[str, Column] = dict(data.columns)
    problems: list[str] = []
    for modality, encoder in encoders.items():
        work = _Work(data, modality, encoder, settings, watcher)
        columns[modality], broken = work.run()
        problems += [
            f"sample {data.ids[one.row]!r}, {modality}: {one.problem} ({one.found}); it counts as"
            " missing"
            for one in broken
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
    kept = {name: column.take(np.flatnonzero(left)) for name, column in columns.items()}
    facts = {
        modality: {**encoder.provenance, "precision": settings.precision}
        for modality, encoder in encoders.items()
    }
    earlier = data.provenance.get("encoders", {})
    return replace(
        whole,
        columns=columns if left.all() else kept,
        provenance={**data.provenance, "encoders": {**earlier, **facts}},
        warnings=(*data.warnings, *problems),
    )


class _Work:
    """The extraction of one modality."""

    def __init__(
        self,
        data: Dataset,
        modality: str,
        encoder: Encoder,
        settings: Extraction,
        watcher: Watcher | None,
    ) -> None:
        self._column = _raw(data, modality)
        self._data, self._modality = data, modality
        self._encoder, self._settings, self._watcher = encoder, settings, watcher
        recipe = f"{encoder.provenance['sha256']} {settings.precision}"
        self._cache = FeatureCache(
            settings.cache, sha256(recipe.encode()).hexdigest(), encoder.size
        )

    def run(self) -> tuple[Features, list[Broken]]:
        """Return the column of features, and what could not be read."""
        values = np.zeros((len(self._column), self._encoder.size), dtype=np.float32)
        keys, broken = self._keys()
        first = {key: row for row, key in reversed(keys.items())}
        done = self._cache.take(first, values)
        if self._watcher:
            self._watcher.started(self._modality, len(first), len(done))
        try:
            todo = sorted(row for key, row in first.items() if key not in done)
            broken += self._compute(sorted(todo, key=self._effort), keys, values)
        finally:
            if self._watcher:
                self._watcher.ended()
        same = {keys[one.row]: one for one in broken if one.row in keys}
        never = [one for one in broken if one.row not in keys]
        again = [same[key]._replace(row=row) for row, key in keys.items() if key in same]
        present = np.zeros(len(values), dtype=bool)
        for row, key in keys.items():
            values[row] = values[first[key]]
            present[row] = key not in same
        values[~present] = 0
        return Features(values, present), sorted(never + again)

    def _keys(self) -> tuple[dict[int, bytes], list[Broken]]:
        """Return the hash of each item that is there, and what could not be opened."""
        keys: dict[int, bytes] = {}
        broken: list[Broken] = []
        for row in np.flatnonzero(self._column.present).tolist():
            try:
                keys[row] = content_hash(self._column.items[row])
            except OSError as exc:
                problem = f"{self._column.items[row]} cannot be opened"
                found = exc.strerror or type(exc).__name__
                one = Broken(row, problem, "a file", found, "check its name and its permissions")
                broken.append(self._met(one))
        return keys, broken

    def _compute(
        self, todo: Sequence[int], keys: Mapping[int, bytes], values: NDArray[np.float32]
    ) -> list[Broken]:
        size = self._settings.batch_size
        batches = [todo[start : start + size] for start in range(0, len(todo), size)]
        broken: list[Broken] = []
        waiting: list[int] = []
        kept_at = time.monotonic()
        encode = _encoding(self._encoder, self._settings)
        try:
            with (
                reuse_memory(),
                closing(
                    prepared(self._encoder.input, self._column.items, batches, self._workers())
                ) as ready,
            ):
                for batch in ready:
                    broken += [self._met(one) for one in batch.broken]
                    if batch.inputs is not None:
                        values[batch.rows] = encode(batch.inputs)
                        waiting += batch.rows
                    if self._watcher:
                        self._watcher.advanced(len(batch.rows) + len(batch.broken))
                    if time.monotonic() - kept_at > KEEP_EVERY:
                        self._keep(waiting, keys, values)
                        waiting, kept_at = [], time.monotonic()
                        trim_memory()
        finally:
            self._keep(waiting, keys, values)
        return broken

    def _keep(
        self, rows: list[int], keys: Mapping[int, bytes], values: NDArray[np.float32]
    ) -> None:
        self._cache.keep([keys[row] for row in rows], values[rows])

    def _met(self, one: Broken) -> Broken:
        """Return it where such items are skipped; else stop."""
        if self._settings.on_error == "skip":
            return one
        raise DataError(
            f"sample {self._data.ids[one.row]!r}, {self._modality}: {one.problem}",
            expected=one.expected,
            found=one.found,
            advice=f"{one.advice}; or leave such items out with on_error 'skip' (--on-error skip)",
        )

    def _workers(self) -> int:
        if isinstance(self._column, Texts):
            return 0  # tokenisers are fast, and use threads of their own
        if self._settings.workers is not None:
            return self._settings.workers
        return max(1, min(cores() - 1, 4))  # one core is left to the network's own pace

    def _effort(self, row: int) -> int:
        """Order texts by length, so that few are filled up; images stay in order."""
        item = self._column.items[row]
        return sum(map(len, item)) if isinstance(item, tuple) else 0


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
    """Return what turns network input into features, on the device and in the precision."""
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
