"""A real Milvus server returns what exact search returns, and loses nothing.

The server (the package ``milvus``) listens on all interfaces, so it runs in a network namespace of
its own, with a second pytest process that runs this file.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commonspace import CommonSpace, Dataset
from commonspace.errors import CommonspaceError, StoreError
from commonspace.methods import CCA
from commonspace.retrieval import Index, Query, vector_index
from commonspace.retrieval.backends import milvus

Make = Callable[..., Dataset]

INSIDE = "COMMONSPACE_MILVUS_NAMESPACE"
PORT = 19530
URI = f"http://127.0.0.1:{PORT}"
QUERIES = np.random.default_rng(9).normal(size=(4, 6)).astype(np.float32)

IGNORED = ("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
"""Warnings of the package milvus."""

LOOPBACK = (
    "import fcntl, socket, struct;"
    "fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh14x', b'lo', 0x41))"
)
"""Brings the interface lo up: SIOCSIFFLAGS with IFF_UP and IFF_RUNNING."""

pytestmark = pytest.mark.server
inside = pytest.mark.skipif(INSIDE not in os.environ, reason="runs in a network namespace")


@pytest.mark.skipif(INSIDE in os.environ, reason="is the namespace")
@pytest.mark.timeout(1200)
def test_the_server_in_its_own_network_namespace() -> None:
    if find_spec("milvus") is None or find_spec("pymilvus") is None:
        pytest.skip("the package milvus is not installed")
    if subprocess.run(["unshare", "-rn", "true"], check=False, capture_output=True).returncode:
        pytest.skip("network namespaces are not available")
    script = '"$0" -c "$1" && exec "$0" -m pytest -q -x -p no:cacheprovider -W "$3" -W "$4" "$2"'
    words = ["unshare", "-rn", "sh", "-c", script, sys.executable, LOOPBACK, __file__, *IGNORED]
    done = subprocess.run(
        words, check=False, capture_output=True, text=True, env=os.environ | {INSIDE: "1"}
    )
    assert done.returncode == 0, done.stdout[-6000:]


class Server:
    """A Milvus server that can be killed and started again on the same data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: Any = None

    def start(self, *, authorization: bool = False) -> None:
        from milvus import MilvusServer

        _wait_for_port()
        self.process = MilvusServer()
        self.process.set_base_dir(str(self.folder))
        self.process.config.set("authorization_enabled", authorization)
        self.process.listen_port = PORT
        self.process.start()
        _wait_for_answer("root:Milvus" if authorization else "")

    def kill(self) -> None:
        os.kill(self.process.server_proc.pid, signal.SIGKILL)
        self.process.server_proc.wait()
        self.process.server_proc = None

    def stop(self) -> None:
        if self.process is not None and self.process.server_proc is not None:
            try:
                self.process.stop()
            except subprocess.TimeoutExpired:  # it waits a few seconds only
                self.kill()


def _wait_for_port() -> None:
    """Wait until the port is free: a killed server leaves connections that time out in a minute."""
    deadline = time.monotonic() + 100
    while True:
        with socket.socket() as candidate:
            try:
                candidate.bind(("0.0.0.0", PORT))
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
        time.sleep(1)


def _wait_for_answer(token: str) -> None:
    """Wait until the server answers: it opens its port before it does, long before after a kill."""
    deadline = time.monotonic() + 120
    while True:
        try:
            client = milvus._pymilvus().MilvusClient(URI, token=token, timeout=5)
            client.list_collections(timeout=5)
            return
        except Exception:
            if time.monotonic() > deadline:
                raise
        time.sleep(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("milvus"))
    server.start()
    yield server
    server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def pair(
    server: Server, tmp_path_factory: pytest.TempPathFactory, space: CommonSpace, make: Make
) -> Iterator[tuple[Index, Index]]:
    """Return two indexes of the same items: one in Milvus, one of exact search."""
    folder = tmp_path_factory.mktemp("indexes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vector_index, "MIN_CHANGES", 30)
        patch.setattr(milvus, "LISTED", 20)  # so that filters are divided
        with (
            Index.create(folder / "served", space, make(range(60)), kind=f"milvus:{URI}") as served,
            Index.create(folder / "exact", space, make(range(60))) as exact,
        ):
            yield served, exact


def rankings(index: Index, **options: Any) -> list[list[tuple[str, str, Any]]]:  # noqa: ANN401
    results = index.search_many([Query(vector=query, **options) for query in QUERIES])
    return [
        [(one.id, one.modality, pytest.approx(one.score, abs=1e-5)) for one in some]
        for some in results
    ]


def compare(served: Index, exact: Index, size: int = 6) -> None:
    assert len(served) == len(exact)
    if size != 6:
        query = np.arange(1, size + 1)
        first, second = (index.search(vector=query, k=20) for index in (served, exact))
        assert [one.id for one in first] == [one.id for one in second]
        return
    options: Sequence[dict[str, Any]] = (
        {"k": 5},
        {"k": 200},
        {"k": 5, "offset": 7},
        {"k": 5, "modality": "text"},
        {"k": 5, "modality": "image"},
        {"k": 5, "where": "price < 300"},
        {"k": 5, "where": "price = 30"},
        {"k": 5, "where": "brand is null"},
    )
    for some in options:
        assert rankings(served, **some) == rankings(exact, **some)
    like = [[one.id for one in index.search(id="article 10")] for index in (served, exact)]
    assert like[0] == like[1]


@inside
def test_search_update_remove_and_verify(pair: tuple[Index, Index], make: Make) -> None:
    served = pair[0]
    assert served.info()["kind"] == f"milvus:{URI}"
    compare(*pair)
    for index in pair:
        index.update(make(range(50, 70), version=1))
        index.remove([f"article {number}" for number in (3, 5, 8)])
    compare(*pair)
    for index in pair:  # so much that the collections are rebuilt
        index.add(make(range(100, 180)))
    compare(*pair)
    report = served.verify()
    assert (report.problems, report.repaired) == ((), ())
    assert report.kinds == {"image": "milvus", "text": "milvus"}
    assert report.costs["image"].recall == 1
    collections = milvus._client(URI).list_collections()
    assert len(collections) == 2


@inside
def test_a_killed_server_loses_nothing(
    pair: tuple[Index, Index], server: Server, make: Make, space: CommonSpace
) -> None:
    """The server is killed in the middle of a write, and started again."""
    served, exact = pair
    exact.update(make(range(100, 180), version=2))
    insert = milvus._pymilvus().MilvusClient.insert
    calls = 0

    def killed(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        nonlocal calls
        calls += 1
        if calls == 2:
            server.kill()
        return insert(*arguments, **options, timeout=3)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(milvus._pymilvus().MilvusClient, "insert", killed)
        change = served.update(make(range(100, 180), version=2))
    assert change.replaced == 80  # acknowledged: the store has it
    assert any("search is slower" in note for note in served.notes)
    with pytest.raises(StoreError, match="cannot be used"):
        served.search(vector=QUERIES[0])
    server.start()
    with Index.open(served.path, space=space) as again:
        compare(again, exact)
        assert again.verify().problems == ()
    for index in pair:  # the next rebuild drops what the killed one left
        index.add(make(range(200, 280)))
    compare(*pair)
    assert len(milvus._client(URI).list_collections()) == 2


@inside
def test_the_page_is_served_from_it(pair: tuple[Index, Index]) -> None:
    """The page, its searches by item and with a filter, and "more like this", as it asks them."""
    from starlette.testclient import TestClient

    from commonspace.serve import ServiceSettings, build_app

    served, exact = pair
    app = build_app(served.path, ServiceSettings(rate=0.0, decode_workers=1))
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        page = client.get("/")
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert client.get("/ready").json() == {"status": "ready"}
        about = client.get("/about").json()
        assert about["items"] == len(exact)
        for options in ({}, {"where": "price < 300"}, {"modality": "text", "offset": 3}):
            answer = client.post("/search", json={"id": "article 10", "k": 7, **options})
            assert answer.status_code == 200, answer.text
            expected = exact.search(id="article 10", k=7, **options)
            assert [one["id"] for one in answer.json()["results"]] == [one.id for one in expected]
            assert answer.json()["total"] == expected.total
        assert client.get("/items/article 10").json()["id"] == "article 10"


@inside
def test_migration(pair: tuple[Index, Index], make: Make) -> None:
    data = make(range(400, 460))
    data = replace(data, splits=np.array(["train", "validation"] * 30))
    other = CCA(dimension=3).fit(data.split("train"), data.split("validation"))
    for index in pair:
        assert index.migrate(other) > 0
    compare(*pair, size=3)
    assert pair[0].verify().problems == ()
    assert len(milvus._client(URI).list_collections()) == 2


@inside
def test_an_old_server_is_refused(
    server: Server, space: CommonSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = milvus._pymilvus().MilvusClient
    monkeypatch.setattr(client, "get_server_version", lambda self: "v2.2.16")
    with pytest.raises(StoreError, match="too old"):
        Index.create(tmp_path / "shop", space, kind=f"milvus:{URI}")
    assert not (tmp_path / "shop").exists()


@inside
@pytest.mark.timeout(200)
def test_a_wrong_token_and_an_absent_server_are_reported(
    pair: tuple[Index, Index],
    server: Server,
    space: CommonSpace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.kill()
    start = time.monotonic()
    with pytest.raises(CommonspaceError, match="cannot be used"):
        Index.create(tmp_path / "shop", space, kind=f"milvus:{URI}")
    assert time.monotonic() - start < 60
    assert not (tmp_path / "shop").exists()
    with pytest.raises(CommonspaceError, match="cannot be used"):
        pair[0].search(vector=np.ones(pair[0].space.dimension))
    server.start(authorization=True)
    monkeypatch.setenv(milvus.TOKEN, "root:wrong")
    with pytest.raises(CommonspaceError, match="token"):
        Index.create(tmp_path / "shop", space, kind=f"milvus:{URI}")
    assert not (tmp_path / "shop").exists()
    monkeypatch.setenv(milvus.TOKEN, "root:Milvus")
    Index.create(tmp_path / "shop", space, kind=f"milvus:{URI}").close()
