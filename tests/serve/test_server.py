"""A service that listens: slow and rude clients, many at once, a graceful end, another index."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

import commonspace as cs
from commonspace import CommonSpace, Dataset
from commonspace.client import Client
from commonspace.errors import ServiceError, SettingError
from commonspace.serve import ServiceSettings, build_app, server
from commonspace.serve.index_manager import IndexManager

Listen = Callable[[FastAPI], AbstractContextManager[str]]
Serve = Callable[..., AbstractContextManager[TestClient]]


def connected(address: str) -> socket.socket:
    host, port = address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def all_of(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


HEAD = (
    b"POST /search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Content-Length: 40\r\n\r\n"
)


def test_slow_and_vanishing_clients_are_given_up_and_others_are_answered(
    index: Path, listening: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.5)
    app = build_app(index, ServiceSettings(rate=0, receive_seconds=0.5))
    with listening(app) as address:
        client = Client(address)
        with connected(address) as loris, connected(address) as half, connected(address) as silent:
            loris.sendall(b"GET /about HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
            half.sendall(HEAD + b'{"text": ')
            with connected(address) as gone:  # in the middle of its upload
                gone.sendall(HEAD + b'{"te')
            assert client.search(text="a red wall", k=1)
            assert all_of(loris).startswith(b"HTTP/1.1 408 ")
            assert all_of(half).startswith(b"HTTP/1.1 408 ")
            assert all_of(silent).startswith(b"HTTP/1.1 408 ")
        with connected(address) as rude:
            rude.sendall(b"\x16\x03\x01\x02\x00\r\n\r\n")
            assert all_of(rude).startswith(b"HTTP/1.1 400 ")
        assert client.search(text="a red wall", k=1)


def test_two_hundred_connections_at_once_are_all_answered(index: Path, listening: Listen) -> None:
    app = build_app(index, ServiceSettings(rate=0))
    with listening(app) as address:
        wanted = Client(address).search(text="a red wall", k=3)
        waiting = [connected(address) for _ in range(200)]
        body = json.dumps({"text": "a red wall", "k": 3}).encode()
        head = HEAD.replace(b"40", str(len(body)).encode()).replace(
            b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"
        )
        for connection in waiting:
            connection.sendall(head + body)
        for connection in waiting:
            with connection:
                status, _, said = all_of(connection).partition(b"\r\n\r\n")
            assert status.startswith(b"HTTP/1.1 200 ")
            assert [one["id"] for one in json.loads(said)["results"]] == [one.id for one in wanted]


def test_the_client_speaks_every_call(
    index: Path, listening: Listen, shop: Dataset, tmp_path: Path
) -> None:
    copytree(index, tmp_path / "copy")
    with listening(build_app(tmp_path / "copy", ServiceSettings(writable=True))) as address:
        client = Client(address)
        with cs.Index.open(tmp_path / "copy") as opened:
            wanted = opened.search(text="a red wall", k=5, where="price > 3")
        answer = client.search(text="a red wall", k=5, where="price > 3")
        assert [one.id for one in answer] == [one.id for one in wanted]
        assert answer.total == len(shop) - 4
        item = client.item("x/image")
        assert (item.id, item.modalities) == ("x/image", ("image", "text"))
        (tmp_path / "photo.png").write_bytes(client.image("a/b"))
        nearest = client.search(image=tmp_path / "photo.png", id="a/b", k=1, modality="image")
        assert len(nearest) == 1
        assert client.thumbnail("a/b", 32)[:2] == b"\xff\xd8"
        assert client.about()["items"] == len(shop)
        photo = client.image("a/b")
        assert client.put("new one", text=["a wall"], image=photo, fields={"price": 1}) == "added"
        assert (
            client.put("new one", text=["a door"], image=photo, fields={"price": 1}) == "replaced"
        )
        assert client.item("new one").texts == ("a door",)
        client.remove("new one")
        with pytest.raises(ServiceError, match="unknown item") as refused:
            client.item("new one")
        assert refused.value.status == 404
    with pytest.raises(ServiceError, match="no service answers"):
        client.about()
    with pytest.raises(SettingError, match="no address"):
        Client("localhost:8000")


def test_a_signal_ends_it_after_what_has_begun(index: Path) -> None:
    """The command answers a request whose body is still coming when SIGTERM arrives."""
    command = [sys.executable, "-m", "commonspace", "serve", str(index), "--port", "0"]
    done = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert done.stdout is not None
        address = done.stdout.readline().split(" on ")[1].split("/ ")[0]
        body = b'{"text": "a red wall", "k": 1}'
        with connected(address) as connection:
            connection.sendall(HEAD.replace(b"40", str(len(body)).encode()) + body[:10])
            time.sleep(0.3)
            done.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            connection.sendall(body[10:])
            assert all_of(connection).startswith(b"HTTP/1.1 200 ")
        _, said = done.communicate(timeout=20)
    finally:
        if done.poll() is None:
            done.kill()
            done.communicate()
    assert done.returncode == 0, said
    assert said.splitlines()[-1] == "stopped"
    assert "Traceback" not in said


def test_another_index_in_its_place_drops_no_request(
    shop: Dataset,
    shop_space: CommonSpace,
    serve: Serve,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few = shop.take(np.arange(20))
    for name, data in (("one", shop), ("two", few)):
        cs.Index.create(tmp_path / name, shop_space, data).close()
    link = tmp_path / "live"
    link.symlink_to(tmp_path / "one")
    monkeypatch.setattr(IndexManager.__init__, "__defaults__", ("cpu", 0.0))
    with serve(link) as client:
        stop, totals = threading.Event(), []

        def ask() -> None:
            while not stop.is_set():
                answer = client.post("/search", json={"text": "a red wall", "k": 1})
                totals.append((answer.status_code, answer.json().get("total")))

        with ThreadPoolExecutor(2) as pool:
            asking = [pool.submit(ask) for _ in range(2)]
            time.sleep(0.4)
            fresh = tmp_path / "fresh"
            fresh.symlink_to(tmp_path / "two")
            fresh.replace(link)
            time.sleep(0.6)
            stop.set()
            for one in asking:
                one.result()
    assert set(totals) == {(200, len(shop)), (200, 20)}


def test_a_lent_index_is_closed_by_the_last_who_uses_it(
    shop: Dataset, shop_space: CommonSpace, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        cs.Index.create(tmp_path / name, shop_space, shop).close()
    holder = IndexManager(tmp_path / "one", check_seconds=0.0)
    with holder.lease() as old:
        (tmp_path / "one").rename(tmp_path / "old")
        with holder.lease() as same:  # between the two renames there is no folder
            assert same is old
        (tmp_path / "two").rename(tmp_path / "one")
        with holder.lease() as new:
            assert new is not old
        assert len(old) == len(shop)  # still open
    with pytest.raises(Exception, match="closed"):
        len(old)
    holder.close()


def test_a_port_that_is_taken_is_named(index: Path) -> None:
    with server.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingError, match=f"cannot listen on 127.0.0.1:{port}"):
            server.listen("127.0.0.1", port)
