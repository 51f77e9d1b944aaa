"""A running server: slow clients, many connections, stopping, proxies, replacement of the index."""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from io import BytesIO
from pathlib import Path
from shutil import copytree
from urllib.request import Request, urlopen

import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

import commonspace as cs
from commonspace import CommonSpace, Dataset
from commonspace.client import Client
from commonspace.errors import ServiceError, SettingError
from commonspace.serve import ServiceSettings, build_app, server
from commonspace.serve.index_manager import IndexManager
from commonspace.serve.middleware import RateLimit
from commonspace.serve.schemas import SearchResponse
from commonspace.serve.search import SearchJob, answer_searches

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


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


HEAD = (
    b"POST /search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Content-Length: 40\r\n\r\n"
)


def test_slow_and_disconnected_clients_do_not_delay_others(
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
            late = (b"HTTP/1.1 408 ", b"HTTP/1.1 503 ")  # 503 if this machine was too busy
            assert all_of(half).startswith(late)
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


def test_every_call_of_the_client(
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
        client.put("new one", text="a red door", image=photo)
        assert client.item("new one").texts == ("a red door",)
        client.put_many([{"id": "new two", "text": "a blue door"}])
        assert client.item("new two").texts == ("a blue door",)
        client.remove("new two")
        client.remove("new one")
        with pytest.raises(ServiceError, match="unknown item") as refused:
            client.item("new one")
        assert refused.value.status == 404
    with pytest.raises(ServiceError, match="cannot be reached"):
        client.about()
    with pytest.raises(SettingError, match="the address of the service is invalid"):
        Client("localhost:8000")


@contextmanager
def running(index: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the command ``serve`` for the block; return its address and process."""
    command = [sys.executable, "-m", "commonspace", "serve", str(index), "--port", "0", *options]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield line.split(" on ")[1].split("/ ")[0], process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def children(process: subprocess.Popen[str]) -> list[int]:
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in path.read_text().split()] if path.exists() else []


def test_a_signal_ends_the_process_after_the_requests_in_progress(index: Path) -> None:
    with running(index) as (address, process):
        body = b'{"text": "a red wall", "k": 1}'
        with connected(address) as connection:
            connection.sendall(HEAD.replace(b"40", str(len(body)).encode()) + body[:10])
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            connection.sendall(body[10:])
            assert all_of(connection).startswith(b"HTTP/1.1 200 ")
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert errors.splitlines()[-1] == "stopped"
    assert "Traceback" not in errors


def test_a_json_log_has_no_other_lines(index: Path) -> None:
    """Malformed requests make the server and its libraries say something, too."""
    form = HEAD.replace(b"application/json", b"multipart/form-data; boundary=x").replace(
        b"40", b"9"
    )
    upgrade = (
        b"GET /health HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    )
    with running(index, "--log-format", "json") as (address, process):
        for request in (b"\x16\x03\x01\r\n\r\n", form + b"text=a\r\n\r", upgrade):
            with connected(address) as connection:
                connection.sendall(request)
                assert connection.recv(100).startswith(b"HTTP/1.1 ")
        tags = [(tag, 4, 1, 100) for tag in (256, 257)] + [
            (tag, 3, 2**31 - 1, 8) for tag in (258, 273)
        ]
        photo = (
            b"II*\0\x08\0\0\0\4\0" + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
        )
        with pytest.raises(ServiceError, match="not an image"):  # Pillow warns of its tags
            Client(address).search(image=photo)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=40)
    *lines, last = errors.splitlines()
    assert last == "stopped"
    messages = [json.loads(line)["message"] for line in lines]
    assert any("Invalid HTTP request" in message for message in messages)


def test_a_signal_ends_the_process_while_photos_are_decoded(index: Path) -> None:
    """Workers that are stuck do not keep the process; none of them survives it."""
    with running(index) as (address, process):
        workers = children(process)
        assert len(workers) >= 2
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
        photo = Image.new("RGB", (9, 9))
        file = BytesIO()
        photo.save(file, "PNG")
        head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
        body = head + file.getvalue() + b"\r\n--b--\r\n"
        request = (
            b"POST /v1/search HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n"
            b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n"
        )
        with connected(address) as first, connected(address) as second:
            for connection in (first, second):
                connection.sendall(request + body)
            time.sleep(0.5)
            start = time.perf_counter()
            process.send_signal(signal.SIGTERM)
            process.wait(40)
            assert time.perf_counter() - start < 30
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)


def test_a_process_that_does_not_stop_is_ended(tmp_path: Path) -> None:
    """An application whose shutdown never ends, and the limit of time of the server."""
    program = tmp_path / "stuck.py"
    program.write_text(
        "import asyncio\n"
        "from commonspace.serve.server import run\n"
        "async def app(scope, receive, send):\n"
        "    while True:\n"
        "        message = await receive()\n"
        "        if message['type'] == 'lifespan.startup':\n"
        "            await send({'type': 'lifespan.startup.complete'})\n"
        "        elif message['type'] == 'lifespan.shutdown':\n"
        "            await asyncio.sleep(1000)\n"
        "run(app, port=0, started=lambda *_: print('ready', flush=True), stop_seconds=3)\n"
    )
    process = subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        start = time.perf_counter()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 1
        assert time.perf_counter() - start < 10
    finally:
        process.kill()
        process.communicate()


def test_work_of_clients_that_have_gone_is_dropped(
    index: Path, listening: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered: list[int] = []
    gate = threading.Event()

    def slow(manager: IndexManager, jobs: Sequence[SearchJob]) -> list[SearchResponse]:
        answered.append(len(jobs))
        gate.wait(10)
        return answer_searches(manager, jobs)

    monkeypatch.setattr("commonspace.serve.app.answer_searches", slow)
    app = build_app(index, ServiceSettings(rate=0, batch_size=1))
    body = b'{"text": "a red wall", "k": 1}'
    request = HEAD.replace(b"40", str(len(body)).encode()) + body
    with listening(app) as address:
        with connected(address) as first:
            first.sendall(request)
            while not answered:
                time.sleep(0.01)
            for _ in range(20):  # they wait behind the first, and leave
                with connected(address) as gone:
                    gone.sendall(request)
                    time.sleep(0.02)
            time.sleep(0.3)
            gate.set()
        assert len(Client(address).search("a red wall", k=1)) == 1
    assert len(answered) <= 3


@pytest.mark.parametrize("trusted", [(), ("127.0.0.1",), ("10.0.0.0/8",)])
def test_only_trusted_proxies_name_the_client(
    index: Path, trusted: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    callers: list[str] = []

    def wait(self: RateLimit, caller: str) -> int:
        callers.append(caller)
        return 0

    monkeypatch.setattr(RateLimit, "wait", wait)
    ready, addresses = threading.Event(), []

    def announce(host: str, port: int) -> None:
        addresses.append(f"http://{host}:{port}")
        ready.set()

    with server.listen("127.0.0.1", 0) as accepted:
        made = server.make_server(
            build_app(index), started=announce, stop_seconds=6, trusted_proxies=trusted
        )
        thread = threading.Thread(target=made.run, args=([accepted],), daemon=True)
        thread.start()
        assert ready.wait(20)
        headers = {"X-Forwarded-For": "203.0.113.9"}
        urlopen(Request(f"{addresses[0]}/v1/about", headers=headers)).read()
        made.should_exit = True
        thread.join(20)
    assert callers == ["203.0.113.9" if trusted == ("127.0.0.1",) else "127.0.0.1"]


def test_replacing_the_index_drops_no_request(
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
            wait_until(lambda: (200, len(shop)) in totals)
            fresh = tmp_path / "fresh"
            fresh.symlink_to(tmp_path / "two")
            fresh.replace(link)
            wait_until(lambda: (200, 20) in totals)
            stop.set()
            for one in asking:
                one.result()
    assert set(totals) == {(200, len(shop)), (200, 20)}


def test_a_replaced_index_is_closed_after_its_last_use(
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


def test_a_port_in_use_is_reported(index: Path) -> None:
    with server.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingError, match=f"cannot listen on 127.0.0.1:{port}"):
            server.listen("127.0.0.1", port)
