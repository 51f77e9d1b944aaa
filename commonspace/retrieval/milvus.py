"""Milvus in place of FAISS: a collection for each base, on a server or in a file of Milvus Lite.

A collection holds position and vector, and is compared exactly (FLAT, inner product) or by
whatever index an administrator puts on it; shards and replicas are the server's own affair. It
knows nothing of items; the store remains the truth.
"""

import json
import os
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.errors import SettingError, StoreError
from commonspace.extras import optional

__all__ = ["PREFIX", "MilvusNearest", "check_reachable", "resolved", "sweep_collections"]

PREFIX = "milvus:"
"""What begins the name of a kind of index that Milvus searches; its URI follows."""

TOKEN = "MILVUS_TOKEN"
"""The environment variable with the token of a server; it is never written anywhere."""

MOST = 16_384
"""What Milvus finds at a time, at most."""

LISTED = 10_000
"""Positions that are named in one filter."""

_POSITION, _VECTOR = "position", "vector"


class MilvusNearest:
    """Vectors in a collection of Milvus, searched like those of ``ann.Nearest``.

    Args:
        uri: of the server, or the path of a file of Milvus Lite.
        name: of the collection.
        count: n, how many vectors it holds.
    """

    kind = "milvus"
    effort = 0
    values = None

    def __init__(self, uri: str, name: str, count: int) -> None:
        """Keep the names; ``client`` connects when first needed."""
        self.uri = uri
        self.name = name
        self.count = count

    def __len__(self) -> int:
        """Return n."""
        return self.count

    @classmethod
    def create(
        cls, uri: str, name: str, portions: Iterator[NDArray[np.float32]], dimension: int
    ) -> "MilvusNearest":
        """Make a collection of vectors.

        Args:
            uri: of the server, or the path of a file of Milvus Lite.
            name: of the collection, which is new.
            portions: of (m, d) vectors each, which together are the n vectors.
            dimension: d.

        Raises:
            StoreError: Milvus cannot be reached, or refuses.
        """
        milvus = _pymilvus()
        with _asking(uri):
            client = _client(uri)
            schema = milvus.MilvusClient.create_schema(auto_id=False)
            schema.add_field(_POSITION, milvus.DataType.INT64, is_primary=True)
            schema.add_field(_VECTOR, milvus.DataType.FLOAT_VECTOR, dim=dimension)
            index = client.prepare_index_params()
            index.add_index(_VECTOR, index_type="FLAT", metric_type="IP")
            client.create_collection(name, schema=schema, index_params=index)
            count = 0
            for portion in portions:
                for start in range(0, len(portion), LISTED):
                    rows = portion[start : start + LISTED]
                    client.insert(
                        name,
                        [
                            {_POSITION: count + place, _VECTOR: row}
                            for place, row in enumerate(rows)
                        ],
                    )
                    count += len(rows)
            client.flush(name)
        return cls(uri, name, count)

    def write(self, path: Path) -> None:
        """Write a file that says where the vectors are."""
        said = {"uri": self.uri, "collection": self.name, "count": self.count}
        path.write_text(json.dumps(said), "utf-8")

    @classmethod
    def read(cls, path: Path) -> "MilvusNearest":
        """Return the collection that a file names.

        Raises:
            StoreError: Milvus cannot be reached, or the collection is missing or not whole.
        """
        said = json.loads(path.read_text("utf-8"))
        uri, name, count = said["uri"], said["collection"], said["count"]
        found = "no such collection"
        with _asking(uri):
            client = _client(uri)
            if client.has_collection(name):
                client.load_collection(name)
                (counted,) = client.query(name, filter="", output_fields=["count(*)"])
                found = f"{counted['count(*)']}"
        if found != f"{count}":
            raise StoreError(
                f"the collection {name} in {uri} is not whole",
                expected=f"{count} vectors, as the store says",
                found=found,
                advice="commonspace verify INDEX makes it anew from the store",
            )
        return cls(uri, name, count)

    def search(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the vectors with the largest inner products, as ``ann.Nearest.search`` does.

        Args:
            queries: (q, d).
            k: how many for each, from 1 to n.
            allowed: (n,), which positions may be found; None for all. They are named in filters
                of 10,000 each, so that a condition that leaves many is slow.

        Raises:
            SettingError: k is more than Milvus finds at a time.
            StoreError: Milvus cannot be reached, or refuses.
        """
        if k > MOST:
            raise SettingError(
                "Milvus finds no more items at a time",
                expected=f"at most {MOST}",
                found=str(k),
                advice="ask for fewer",
            )
        filters = [""]
        if allowed is not None:
            named = np.flatnonzero(allowed)
            lists = [named[start : start + LISTED] for start in range(0, len(named), LISTED)]
            filters = [f"{_POSITION} in {some.tolist()}" for some in lists]
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        positions = np.full((len(queries), k), -1, dtype=np.int64)
        for one in filters:
            found = self._searched(queries, k, one)
            for row, hits in enumerate(found):
                if hits:
                    some = np.array([score for score, _ in hits], dtype=np.float32)
                    at = np.array([position for _, position in hits], dtype=np.int64)
                    merged = np.concatenate([scores[row], some])
                    order = np.argsort(-merged, kind="stable")[:k]
                    positions[row] = np.concatenate([positions[row], at])[order]
                    scores[row] = merged[order]
        return scores, positions

    def _searched(
        self, queries: NDArray[np.float32], k: int, condition: str
    ) -> list[list[tuple[float, int]]]:
        with _asking(self.uri):
            found = _client(self.uri).search(
                self.name,
                data=list(queries),
                limit=k,
                filter=condition,
                search_params={"metric_type": "IP"},
                consistency_level="Strong",
            )
        return [[(float(hit["distance"]), int(hit[_POSITION])) for hit in row] for row in found]


def resolved(choice: str) -> str:
    """Return a kind of index with the whole path of its file, where it names one.

    Raises:
        SettingError: no URI is named.

    Example:
        >>> resolved("milvus:http://localhost:19530")
        'milvus:http://localhost:19530'
    """
    uri = choice.removeprefix(PREFIX)
    if not uri:
        raise SettingError(
            "no Milvus is named",
            expected="milvus:URI, such as milvus:http://localhost:19530 or milvus:shop.db",
            found=repr(choice),
            advice="write the URI behind the colon",
        )
    return choice if "://" in uri else f"{PREFIX}{Path(uri).resolve()}"


def check_reachable(uri: str) -> None:
    """Ask Milvus for something small, before work is begun that would need it at its end.

    Raises:
        StoreError: Milvus cannot be reached, or refuses.
        MissingExtraError: pymilvus is not installed.
    """
    with _asking(uri):
        _client(uri).list_collections()


def sweep_collections(uri: str, beginning: str, wanted: Container[str]) -> None:
    """Take away the collections whose names begin so, other than those wanted.

    Raises:
        StoreError: Milvus cannot be reached, or refuses.
    """
    with _asking(uri):
        client = _client(uri)
        for name in client.list_collections():
            if name.startswith(beginning) and name not in wanted:
                client.drop_collection(name)


def _client(uri: str) -> Any:  # noqa: ANN401 - untyped
    """Return a connection; pymilvus shares it between those who ask for the same one."""
    return _pymilvus().MilvusClient(uri, token=os.environ.get(TOKEN, ""))


@contextmanager
def _asking(uri: str) -> Iterator[None]:
    """Turn what pymilvus raises inside the block into an error that names the place."""
    milvus = _pymilvus()
    try:
        yield
    except milvus.MilvusException as exc:
        raise StoreError(
            f"Milvus at {uri} does not do what it is asked",
            expected="a server that can be reached, or a file of Milvus Lite that no other"
            " process has open",
            found=(str(exc).splitlines() or [type(exc).__name__])[0][:200],
            advice=f"check the address, and the token in {TOKEN}; the store is whole",
        ) from exc


def _pymilvus() -> Any:  # noqa: ANN401 - untyped
    return optional("pymilvus", "searching in Milvus", "milvus")
