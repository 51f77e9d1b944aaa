"""Milvus backend: a collection for each main segment, in a server or in a file of Milvus Lite.

A collection holds positions and vectors, with an exact index (FLAT, inner product) or another one
that an administrator configures, as shards and replicas. Items stay in the store.
"""

import json
import os
import re
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.row_blocks import scratch_folder
from commonspace.engines import Engine
from commonspace.errors import SettingError, StoreError
from commonspace.extras import optional
from commonspace.json_text import parse_json
from commonspace.retrieval.backends import VectorBatches
from commonspace.retrieval.backends.milvus_load import insert_parts
from commonspace.retrieval.backends.spool import spool

__all__ = ["PREFIX", "MilvusBackend", "check_reachable", "drop_collections", "resolve_uri"]

PREFIX = "milvus:"
"""Prefix of a kind of index that Milvus searches; its URI follows."""

TOKEN = "MILVUS_TOKEN"
"""Environment variable with the token of the server; it is never stored."""

MIN_VERSION = (2, 3)
"""Oldest version of the server that is supported."""

MOST = 16_384
"""Maximum number of results of a search in Milvus."""

LISTED = 10_000
"""Maximum number of positions in one filter."""

_POSITION, _VECTOR = "position", "vector"


class MilvusBackend:
    """Vectors in a collection of Milvus.

    Args:
        uri: address of the server, or path of a file of Milvus Lite.
        name: name of the collection.
        count: n, its number of vectors.
    """

    kind = "milvus"
    effort = 0
    lossy = False
    values = None

    def __init__(self, uri: str, name: str, count: int) -> None:
        self.uri = uri
        self.name = name
        self.count = count

    def __len__(self) -> int:
        """Return n."""
        return self.count

    @classmethod
    def build(
        cls,
        batches: VectorBatches,
        dimension: int,
        uri: str,
        name: str,
        engine: Engine | None = None,
    ) -> "MilvusBackend":
        """Create a collection of vectors.

        Args:
            batches: the n vectors.
            dimension: d.
            uri: address of the server, or path of a file of Milvus Lite.
            name: name of the new collection.
            engine: inserts parts into a server side by side; it must see the temporary files of
                this machine. None, and a file of Milvus Lite, which one process has open: this
                process inserts all.

        Raises:
            StoreError: If Milvus cannot be reached, or returns an error.
        """
        milvus = _pymilvus()
        with _translate_errors(uri):
            client = _client(uri)
            schema = milvus.MilvusClient.create_schema(auto_id=False)
            schema.add_field(_POSITION, milvus.DataType.INT64, is_primary=True)
            schema.add_field(_VECTOR, milvus.DataType.FLOAT_VECTOR, dim=dimension)
            index = client.prepare_index_params()
            index.add_index(_VECTOR, index_type="FLAT", metric_type="IP")
            client.create_collection(name, schema=schema, index_params=index)
            if engine is not None and "://" in uri:
                insert = _Insert(uri, name, again=True)
                with NamedTemporaryFile(dir=scratch_folder()) as file:
                    count = insert_parts(spool(batches, dimension, file), insert, engine)
            else:
                insert, count = _Insert(uri, name), 0
                for batch in batches:
                    insert(count, batch)
                    count += len(batch)
            client.flush(name)
        return cls(uri, name, count)

    def write(self, path: Path) -> None:
        """Write a file with the address and the name of the collection."""
        described = {"uri": self.uri, "collection": self.name, "count": self.count}
        path.write_text(json.dumps(described), "utf-8")

    @classmethod
    def read(cls, path: Path) -> "MilvusBackend":
        """Return the collection that a file names.

        Raises:
            StoreError: If Milvus cannot be reached, or the collection is missing or incomplete.
        """
        described = parse_json(path.read_text("utf-8"))
        uri, name, count = (described[key] for key in ("uri", "collection", "count"))
        found = "no such collection"
        with _translate_errors(uri):
            client = _client(uri)
            if client.has_collection(name):
                client.load_collection(name)
                (counted,) = client.query(name, filter="", output_fields=["count(*)"])
                found = f"{counted['count(*)']}"
        if found != f"{count}":
            raise StoreError(
                f"the collection {name} in {uri} is incomplete",
                expected=f"{count} vectors, as in the store",
                found=found,
                advice="commonspace verify INDEX builds it again from the store",
            )
        return cls(uri, name, count)

    def search(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the vectors with the largest inner products; see ``VectorBackend``.

        Args:
            queries: (q, d).
            k: results for each query, from 1 to n.
            allowed: (n,), the positions that may be returned; None for all. They are listed in
                filters of 10,000 each, so that a filter that accepts many is slow.

        Raises:
            SettingError: If k is larger than Milvus supports.
            StoreError: If Milvus cannot be reached, or returns an error.
        """
        if k > MOST:
            raise SettingError(
                "Milvus does not return as many results",
                expected=f"at most {MOST}",
                found=str(k),
                advice="request fewer results",
            )
        filters = [""]
        if allowed is not None:
            positions_ = np.flatnonzero(allowed)
            lists = [
                positions_[start : start + LISTED] for start in range(0, len(positions_), LISTED)
            ]
            filters = [f"{_POSITION} in {some.tolist()}" for some in lists]
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        positions = np.full((len(queries), k), -1, dtype=np.int64)
        for condition in filters:
            found = self._search(queries, k, condition)
            for row, hits in enumerate(found):
                if hits:
                    some = np.array([score for score, _ in hits], dtype=np.float32)
                    at = np.array([position for _, position in hits], dtype=np.int64)
                    merged = np.concatenate([scores[row], some])
                    order = np.argsort(-merged, kind="stable")[:k]
                    positions[row] = np.concatenate([positions[row], at])[order]
                    scores[row] = merged[order]
        return scores, positions

    def _search(
        self, queries: NDArray[np.float32], k: int, condition: str
    ) -> list[list[tuple[float, int]]]:
        with _translate_errors(self.uri):
            found = _client(self.uri).search(
                self.name,
                data=list(queries),
                limit=k,
                filter=condition,
                search_params={"metric_type": "IP"},
                consistency_level="Strong",
            )
        return [[(float(hit["distance"]), _position(hit)) for hit in row] for row in found]


@dataclass(frozen=True)
class _Insert:
    """Inserts vectors into a collection, also in another process."""

    uri: str
    name: str
    again: bool = False
    """Whether a position may be there already, of a worker that was lost: it is replaced."""

    def __call__(self, start: int, rows: NDArray[np.float32]) -> None:
        """Insert (m, d) vectors at the positions from ``start`` on."""
        with _translate_errors(self.uri):
            client = _client(self.uri)
            put = client.upsert if self.again else client.insert
            for first in range(0, len(rows), LISTED):
                some = [
                    {_POSITION: start + first + place, _VECTOR: np.asarray(row)}
                    for place, row in enumerate(rows[first : first + LISTED])
                ]
                put(self.name, some)


def _position(hit: Any) -> int:  # noqa: ANN401 - untyped
    """Return the primary key of a hit: a server names it "id", Milvus Lite by its field."""
    return int(hit["id"] if "id" in hit else hit[_POSITION])


def resolve_uri(kind: str) -> str:
    """Return a kind of index with the absolute path of its file, if it names one.

    Raises:
        SettingError: If no URI is given.

    Example:
        >>> resolve_uri("milvus:http://localhost:19530")
        'milvus:http://localhost:19530'
    """
    uri = kind.removeprefix(PREFIX)
    if not uri:
        raise SettingError(
            "the address of Milvus is missing",
            expected="milvus:URI, such as milvus:http://localhost:19530 or milvus:shop.db",
            found=repr(kind),
            advice="write the URI behind the colon",
        )
    return kind if "://" in uri else f"{PREFIX}{Path(uri).resolve()}"


def check_reachable(uri: str) -> None:
    """Check the connection to Milvus, before long work that needs it at its end.

    Raises:
        StoreError: If Milvus cannot be reached, or returns an error.
        MissingExtraError: If pymilvus is not installed.
    """
    with _translate_errors(uri):
        client = _client(uri)
        client.list_collections()
        version = str(client.get_server_version()) if "://" in uri else ""
    numbers = re.match(r"v?(\d+)\.(\d+)", version)
    if numbers and (int(numbers[1]), int(numbers[2])) < MIN_VERSION:
        raise StoreError(
            f"Milvus at {uri} is too old",
            expected="version " + ".".join(map(str, MIN_VERSION)) + " or later",
            found=version,
            advice="update the server; nothing was changed",
        )


def drop_collections(uri: str, prefix: str, used: Container[str]) -> None:
    """Drop the collections with a prefix, other than those used.

    Raises:
        StoreError: If Milvus cannot be reached, or returns an error.
    """
    with _translate_errors(uri):
        client = _client(uri)
        for name in client.list_collections():
            if name.startswith(prefix) and name not in used:
                client.drop_collection(name)


def _client(uri: str) -> Any:  # noqa: ANN401 - untyped
    """Return a connection; pymilvus shares it between callers with equal arguments."""
    return _pymilvus().MilvusClient(uri, token=os.environ.get(TOKEN, ""))


@contextmanager
def _translate_errors(uri: str) -> Iterator[None]:
    """Raise errors of pymilvus in the block as errors that name the server."""
    milvus = _pymilvus()
    try:
        yield
    except milvus.MilvusException as exc:
        raise StoreError(
            f"Milvus at {uri} cannot be used",
            expected="a server that can be reached, or a file of Milvus Lite that no other"
            " process has open",
            found=(str(exc).splitlines() or [type(exc).__name__])[0][:200],
            advice=f"check the address, and the token in {TOKEN}; the stored items are complete",
        ) from exc


def _pymilvus() -> Any:  # noqa: ANN401 - untyped
    return optional("pymilvus", "searching in Milvus", "milvus")
