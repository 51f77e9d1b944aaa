"""Late bodies are blamed on the right side, and photos are counted from their first byte."""

import asyncio
import json
import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from io import BytesIO
from pathlib import Path

import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.types import Message

from commonspace.client import Client
from commonspace.errors import ServiceError
from commonspace.serve import ServiceSettings, build_app
from commonspace.serve.access import ApiKey
from commonspace.serve.errors import RequestError
from commonspace.serve.receiving import LoopDelay, RequestBody

Listen = Callable[[FastAPI], AbstractContextManager[str]]

SECONDS = 0.6
TRIES = 5
"""On a machine that is starved itself, 503 is right instead of 408."""
PART = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'


async def receive_late(
    *, client_pause: float, parse_pause: float = 0.0, block: float = 0.0
) -> RequestError:
    """Return the error of a body of many parts that does not arrive in time.

    Args:
        client_pause: seconds between two parts.
        parse_pause: seconds that each part takes here.
        block: seconds for which other work blocks the event loop, again and again.
    """
    loop = asyncio.get_running_loop()

    async def receive() -> Message:
        await asyncio.sleep(client_pause)
        return {"type": "http.request", "body": b"x", "more_body": True}

    def work() -> None:
        time.sleep(block)
        loop.call_later(0.001, work)

    delay = LoopDelay()
    with delay.watch():
        if block:
            loop.call_soon(work)
        body = RequestBody(receive, {"content-length": "1000"}, SECONDS, delay)
        body.max_bytes = 10_000
        try:
            while True:
                await body()
                await asyncio.sleep(parse_pause)
        except RequestError as error:
            return error


@pytest.mark.parametrize(
    ("case", "status"),
    [
        ({"client_pause": 30.0}, 408),
        ({"client_pause": 0.01}, 408),
        ({"client_pause": 0.01, "block": 0.002}, 408),  # busy, but not late
        ({"client_pause": 0.001, "parse_pause": 0.1}, 503),
        ({"client_pause": 0.001, "block": 0.3}, 503),
        ({"client_pause": 30.0, "block": 0.3}, 503),  # nobody knows what it would have sent
    ],
)
def test_the_status_of_a_late_body_says_whose_fault_it_is(
    case: dict[str, float], status: int
) -> None:
    for _ in range(TRIES):
        error = asyncio.run(receive_late(**case))
        if error.status == status:
            break
    assert error.status == status
    assert error.retry_after == (5 if status == 503 else None)


def test_a_starved_service_answers_503_and_a_slow_client_gets_408(
    index: Path, listening: Listen
) -> None:
    app = build_app(index, ServiceSettings(rate=0, receive_seconds=1.0))

    @app.get("/block")
    async def block() -> None:
        for _ in range(6):
            time.sleep(0.25)
            await asyncio.sleep(0)

    with listening(app) as address:
        for _ in range(TRIES):
            with connected(address) as slow:
                slow.sendall(head(100) + b"{")
                status, headers, _ = answer(slow)
            assert headers["connection"] == "close"
            if status == 408:
                break
        assert status == 408
        with connected(address) as waiting, connected(address) as other:
            waiting.sendall(head(100) + b"{")
            other.sendall(b"GET /block HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            status, headers, body = answer(waiting)
            assert (status, headers["retry-after"], headers["connection"]) == (503, "5", "close")
            assert json.loads(body)["error"]["code"] == "busy"
        assert Client(address).search(text="a red wall", k=1)


def test_photos_are_counted_from_their_first_byte(index: Path, listening: Listen) -> None:
    settings = ServiceSettings(rate=0, max_photos=1, decode_workers=1)
    file = BytesIO()
    Image.new("RGB", (40, 40), (200, 0, 0)).save(file, "PNG")
    photo = file.getvalue()
    with listening(build_app(index, settings)) as address:
        client = Client(address)
        with connected(address) as first:
            first.sendall(form_head(10_000) + PART + b"\xff\xd8")
            assert until(lambda: status_of(client, photo) == 503)
            with connected(address) as long:  # refused while it still sends 19 MB
                start = time.monotonic()
                long.sendall(form_head(19_000_000) + PART)
                long.sendall(bytes(2_000_000))
                status, headers, _ = answer(long)
                assert (status, headers["retry-after"]) == (503, "2")
                assert time.monotonic() - start < 8
            assert client.search(text="a red wall", k=1)  # words go on
            with connected(address) as words:  # and so do forms without a photo
                body = b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\na wall\r\n--x--'
                words.sendall(form_head(len(body)) + body)
                assert answer(words)[0] == 200
        assert until(lambda: status_of(client, photo) == 200)  # the first client has gone


def test_an_error_reaches_a_client_that_is_still_sending(index: Path, listening: Listen) -> None:
    settings = ServiceSettings(rate=0, keys={"a": ApiKey("0" * 64)})
    with listening(build_app(index, settings)) as address:
        for length in (500, 300_000, 5_000_000):
            with connected(address) as unknown:
                unknown.sendall(form_head(length) + PART)
                left = length - len(PART)
                while left:
                    left -= unknown.send(bytes(min(left, 100_000)))
                status, headers, _ = answer(unknown)
                assert status == 401
                assert ("connection" in headers) == (length > 65536)


def head(length: int) -> bytes:
    return (
        b"POST /search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % length
    )


def form_head(length: int) -> bytes:
    return head(length).replace(b"application/json", b"multipart/form-data; boundary=x")


def connected(address: str) -> socket.socket:
    host, port = address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of the next response."""
    file = connection.makefile("rb")
    status = int(file.readline().split()[1])
    headers = {}
    while line := file.readline().strip():
        name, _, value = line.decode().partition(": ")
        headers[name.lower()] = value
    return status, headers, file.read(int(headers.get("content-length", "0")))


def status_of(client: Client, photo: bytes) -> int:
    try:
        client.search(image=photo, k=1)
    except ServiceError as exc:
        return exc.status
    return 200


def until(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
