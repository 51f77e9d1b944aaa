"""Bulk load into Milvus: parts are inserted side by side, each position once.

A client that keeps what it is given stands for the server; ``test_milvus_server.py`` has a real
one.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from commonspace.engines import InProcess, LocalProcesses
from commonspace.errors import StoreError
from commonspace.retrieval.backends import milvus, milvus_load
from commonspace.retrieval.backends.milvus import MilvusBackend
from commonspace.retrieval.backends.milvus_load import insert_parts

VALUES = np.random.default_rng(0).normal(size=(1001, 8)).astype(np.float32)


@dataclass(frozen=True)
class Kept:
    """Writes each part into a file of its own, from any process."""

    folder: Path

    def __call__(self, start: int, rows: NDArray[np.float32]) -> None:
        with (self.folder / f"{start}.npy").open("xb") as file:
            np.save(file, np.asarray(rows))


@pytest.mark.parametrize("engine", [InProcess(), LocalProcesses(2)])
def test_every_row_is_inserted_once_at_its_position(
    engine: Any,  # noqa: ANN401
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(milvus_load, "ROWS_EACH", 300)
    VALUES.tofile(tmp_path / "vectors")
    mapped = np.memmap(tmp_path / "vectors", np.float32, mode="r", shape=VALUES.shape)
    (tmp_path / "kept").mkdir()
    assert insert_parts(mapped, Kept(tmp_path / "kept"), engine) == 1001
    parts = {int(file.stem): np.load(file) for file in (tmp_path / "kept").glob("*.npy")}
    assert len(parts) == 4
    found = np.zeros_like(VALUES)
    for start, rows in parts.items():
        found[start : start + len(rows)] += rows
    np.testing.assert_array_equal(found, VALUES)


@dataclass
class Client:
    """A server of one collection."""

    rows: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    broken: bool = False

    def insert(self, name: str, rows: Sequence[dict[str, Any]]) -> None:
        self._put("insert", rows)

    def upsert(self, name: str, rows: Sequence[dict[str, Any]]) -> None:
        self._put("upsert", rows)

    def _put(self, call: str, rows: Sequence[dict[str, Any]]) -> None:
        if self.broken:
            raise ConnectionError("gone")
        self.calls.append(call)
        self.rows |= {row["position"]: row["vector"] for row in rows}

    def create_collection(self, name: str, **_: object) -> None:
        self.calls.append("create")

    def flush(self, name: str) -> None:
        self.calls.append("flush")

    def prepare_index_params(self) -> Any:  # noqa: ANN401
        return SimpleNamespace(add_index=lambda *_, **__: None)

    @staticmethod
    def create_schema(**_: object) -> Any:  # noqa: ANN401
        return SimpleNamespace(add_field=lambda *_, **__: None)


class NoEngine(InProcess):
    """An engine that must not be called."""

    def map(self, work: object, parts: object) -> Any:  # noqa: ANN401
        raise AssertionError


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    client = Client()
    kinds = SimpleNamespace(INT64=1, FLOAT_VECTOR=2)
    module = SimpleNamespace(MilvusClient=Client, DataType=kinds, MilvusException=ConnectionError)
    monkeypatch.setattr(milvus, "_pymilvus", lambda: module)
    monkeypatch.setattr(milvus, "_client", lambda uri: client)
    return client


def batches() -> Iterator[NDArray[np.float32]]:
    return (VALUES[start : start + 77] for start in range(0, len(VALUES), 77))


@contextmanager
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(milvus, "LISTED", 50)
        patch.setattr(milvus_load, "ROWS_EACH", 300)
        yield


def check(client: Client, built: MilvusBackend, call: str) -> None:
    assert len(built) == 1001
    assert client.calls[0] == "create"
    assert client.calls[-1] == "flush"
    assert set(client.calls[1:-1]) == {call}
    assert sorted(client.rows) == list(range(1001))
    np.testing.assert_array_equal([client.rows[row] for row in range(1001)], VALUES)


def test_a_server_gets_parts_that_may_be_repeated(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Twice(InProcess):
        """Runs the first part again, as after a worker that was lost."""

        def map(self, work: Callable[..., Any], parts: Sequence[Any]) -> Any:  # noqa: ANN401
            work(parts[0])
            return map(work, parts)

    with small(monkeypatch):
        built = MilvusBackend.build(batches(), 8, "http://server", "name", Twice())
    check(client, built, "upsert")


@pytest.mark.parametrize(("uri", "engine"), [("http://server", None), ("file.db", NoEngine())])
def test_without_an_engine_and_in_a_file_one_process_inserts(
    uri: str,
    engine: InProcess | None,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with small(monkeypatch):
        built = MilvusBackend.build(batches(), 8, uri, "name", engine)
    check(client, built, "insert")


def test_an_error_of_a_part_is_that_of_the_server(client: Client) -> None:
    client.broken = True
    with pytest.raises(StoreError, match="Milvus at http://server cannot be used"):
        MilvusBackend.build(batches(), 8, "http://server", "name", InProcess())


def test_no_vectors_are_no_part(client: Client) -> None:
    built = MilvusBackend.build(chain(), 8, "http://server", "name", NoEngine())
    assert len(built) == 0
    assert not client.rows
