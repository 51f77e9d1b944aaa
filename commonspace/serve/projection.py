"""Map of an index: a two-dimensional projection of all items, computed once and stored with it.

t-SNE of a sample, stratified by class; all other items are then placed among its points.
"""

import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from commonspace.checksums import read_checked_json, write_checked_json
from commonspace.errors import CommonspaceError
from commonspace.plots import fit_tsne, stratified_sample
from commonspace.retrieval import Index
from commonspace.retrieval.folder import MAP
from commonspace.serve.errors import RequestError
from commonspace.serve.index_manager import IndexManager

__all__ = ["MAP", "MapFile", "make_map", "read_map"]

LOG = logging.getLogger("commonspace.serve")
STOP_SECONDS = 6.0
"""Time for the computation to end. A thread that is in compiled code when Python ends aborts it."""
BLOCK = 5000
"""Vectors placed at a time."""


class _StoppedError(Exception):
    """The service ends while the map is computed."""


class MapFile:
    """The map of the served index: read when it has changed, computed in the background on demand.

    Args:
        manager: of the index.
    """

    def __init__(self, manager: IndexManager) -> None:
        self._manager = manager
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._version: tuple[object, ...] = ()
        self._content = b""
        self._lock = threading.Lock()

    def start(self) -> None:
        """Compute the map in a thread, if there is none."""
        if read_map(self._manager.path) is None:
            self._thread = threading.Thread(target=self._compute, name="map", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the computation at the next report of t-SNE, and wait for that."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    def read(self) -> bytes:
        """Return the map as JSON.

        Raises:
            RequestError: 404 if there is no map; 503 while it is computed.
        """
        with self._manager.lease() as index:
            generation = index.generation
        with self._lock:
            try:
                status = (self._manager.path / MAP).stat()
            except OSError:
                raise self._missing() from None
            version = (status.st_ino, status.st_mtime_ns, generation)
            if version != self._version:
                content = read_map(self._manager.path)
                if content is None:
                    raise self._missing()
                content["current"] = content["generation"] == generation
                self._content = json.dumps(content, ensure_ascii=False).encode()
                self._version = version
            return self._content

    def _compute(self) -> None:
        start = time.perf_counter()
        try:
            with self._manager.lease() as index:
                count = make_map(index, progress=self._check_stop)
        except _StoppedError:
            return
        except CommonspaceError as exc:
            LOG.error("the map cannot be computed: %s", exc)
            return
        LOG.info("map computed: %d points, %.0f s", count, time.perf_counter() - start)

    def _check_stop(self, _: float) -> None:
        if self._stop.is_set():
            raise _StoppedError

    def _missing(self) -> RequestError:
        if self._thread is not None and self._thread.is_alive():
            return RequestError(
                503,
                "the map is being computed",
                code="map_in_progress",
                advice="try again later",
                retry_after=10,
            )
        return RequestError(
            404, "the index has no map", code="no_map", advice="make one: commonspace map INDEX"
        )


def make_map(
    index: Index,
    *,
    max_points: int = 10_000,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> int:
    """Compute the map of an index, and store it in its folder.

    Args:
        index: the index.
        max_points: maximum number of points that t-SNE places; its time grows faster than that.
        seed: random seed of the sample and of t-SNE.
        progress: called with the fraction done, from 0 to 1.

    Returns:
        The number of points: one for each modality of each item.

    Raises:
        DataError: There are fewer than five.
        OutputError: The map cannot be written.
    """
    content = index.all_vectors()
    lengths = np.linalg.norm(content.values, axis=1, keepdims=True)
    units = content.values / np.maximum(lengths, 1e-30)
    names = sorted({labels[0] for labels in content.labels if labels})
    position = {name: number for number, name in enumerate(names)}
    classes = np.array(
        [position[labels[0]] if labels else -1 for labels in content.labels], dtype=int
    )
    sample = stratified_sample(classes, max(1, max_points), np.random.default_rng(seed))
    fitted = fit_tsne(units[sample], seed, progress)
    points = np.empty((len(units), 2))
    points[sample] = fitted.points
    others = np.setdiff1d(np.arange(len(units)), sample)
    for start in range(0, len(others), BLOCK):
        rows = others[start : start + BLOCK]
        points[rows] = fitted.place(units[rows])
    points -= (points.max(axis=0) + points.min(axis=0)) / 2
    points /= max(float(np.abs(points).max()), 1e-30)
    result = {
        "generation": content.generation,
        "x": np.round(points[:, 0], 5).tolist(),
        "y": np.round(points[:, 1], 5).tolist(),
        "modality": content.modality.tolist(),
        "class": classes.tolist(),
        "ids": list(content.ids),
        "modalities": list(content.modalities),
        "classes": names,
    }
    write_checked_json(index.path / MAP, result)
    return len(units)


def read_map(folder: Path) -> dict[str, Any] | None:
    """Return the map stored in the folder of an index; None if there is none, or it is damaged."""
    try:
        return read_checked_json(folder / MAP)
    except (OSError, ValueError):
        return None
