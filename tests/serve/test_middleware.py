"""Access, limits, headers, metrics and the log, for every request."""

import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from shutil import copytree

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from commonspace.errors import SettingError
from commonspace.serve import ServiceSettings, build_app
from commonspace.serve.access import add_key, read_keys
from commonspace.serve.logs import LIBRARIES, configure_logging
from commonspace.serve.middleware import RateLimit

Serve = Callable[..., AbstractContextManager[TestClient]]
Listen = Callable[[FastAPI], AbstractContextManager[str]]

QUERY = {"text": "a red wall", "k": 1}


def test_without_a_known_key_every_request_is_refused(
    index: Path, serve: Serve, tmp_path: Path
) -> None:
    key = add_key(tmp_path / "keys", "laptop")
    with serve(index, keys=read_keys(tmp_path / "keys")) as client:
        for path in ("/about", "/v1/about", "/map", "/metrics", "/items/a%2Fb/image"):
            for headers in ({}, {"authorization": f"Bearer {key[:-1]}"}, {"authorization": key}):
                response = client.get(path, headers=headers)
                assert response.status_code == 401
                assert response.headers["www-authenticate"] == "Bearer"
        assert client.post("/search", json=QUERY).status_code == 401
        right = {"authorization": f"Bearer {key}"}
        assert client.get("/about", headers=right).status_code == 200
        assert client.post("/search", json=QUERY, headers=right).status_code == 200
        for path in ("/health", "/ready", "/"):
            assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "one"},
        {"authorization": "Basic one"},
        {"authorization": "Bearer two"},
        {"authorization": b"Bearer \xff"},
        {"cookie": "commonspace=one"},
        {"cookie": b"\x00=;;="},
    ],
)
def test_without_keys_every_caller_is_accepted(
    client: TestClient, headers: dict[str, str | bytes]
) -> None:
    response = client.get("/about", headers=headers)  # type: ignore[arg-type]
    assert response.status_code == 200
    assert "set-cookie" not in response.headers


def test_the_page_gets_a_session_that_its_photos_use(
    index: Path, serve: Serve, tmp_path: Path
) -> None:
    key = add_key(tmp_path / "keys", "laptop", write=True)
    with serve(index, keys=read_keys(tmp_path / "keys"), writable=True) as client:
        right = {"authorization": f"Bearer {key}"}
        assert "set-cookie" not in client.get("/about", headers=right).headers
        response = client.get("/about", headers={**right, "sec-fetch-site": "same-origin"})
        cookie = response.headers["set-cookie"]
        assert {"HttpOnly", "SameSite=Strict"} <= set(cookie.split("; "))
        assert key not in cookie
        assert client.get("/items/a%2Fb/thumbnail").status_code == 200  # with the cookie only
        refused = client.post("/items", json={"id": "new", "text": ["a wall"]})
        assert refused.status_code == 403  # a session may only read


def test_reading_keys_may_not_write(index: Path, serve: Serve, tmp_path: Path) -> None:
    copytree(index, tmp_path / "copy")
    keys = {name: add_key(tmp_path / "keys", name, write=name == "in") for name in ("in", "out")}
    new = {"id": "new", "text": ["a wall"]}
    with serve(tmp_path / "copy", keys=read_keys(tmp_path / "keys"), writable=True) as client:
        for name, status in (("out", 403), ("in", 201)):
            headers = {"authorization": f"Bearer {keys[name]}"}
            assert client.post("/items", json=new, headers=headers).status_code == status
        for path in ("/items/new", "/v1/items/new"):
            headers = {"authorization": f"Bearer {keys['out']}"}
            assert client.delete(path, headers=headers).status_code == 403


def test_heads_are_answered_like_gets_without_a_body(client: TestClient) -> None:
    for path in ("/", "/about", "/items/a%2Fb/thumbnail", "/nowhere", "/health"):
        full, head = client.get(path), client.head(path)
        assert (head.status_code, head.content) == (full.status_code, b"")
        for name in ("content-length", "content-type", "etag"):
            assert head.headers.get(name) == full.headers.get(name)


def test_other_sites_may_call_only_if_allowed(index: Path, serve: Serve) -> None:
    origin = {"origin": "https://shop.example", "sec-fetch-site": "cross-site"}
    with serve(index, cors_origins=("https://shop.example",)) as client:
        response = client.post("/v1/search", json=QUERY, headers=origin)
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == "https://shop.example"
        asked = {**origin, "access-control-request-method": "POST"}
        preflight = client.options("/v1/search", headers=asked)
        assert preflight.status_code == 204
        assert "Authorization" in preflight.headers["access-control-allow-headers"]
        other = {"origin": "https://evil.example"}
        response = client.post("/v1/search", json=QUERY, headers=other)
        assert response.status_code == 403
        assert "access-control-allow-origin" not in response.headers


@contextmanager
def own_logs() -> Iterator[None]:
    """Restore what ``configure_logging`` changes."""
    loggers = [logging.getLogger(name) for name in ("commonspace", *LIBRARIES)]
    before = [(one.handlers, one.propagate, one.level) for one in loggers]
    try:
        yield
    finally:
        logging.captureWarnings(False)
        for one, (handlers, propagate, level) in zip(loggers, before, strict=True):
            one.handlers, one.propagate = handlers, propagate
            one.setLevel(level)


def test_every_response_and_log_line_has_the_id_of_its_request(
    client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    own = client.get("/about", headers={"x-request-id": "mine-1"})
    assert own.headers["x-request-id"] == "mine-1"
    made = client.get("/about", headers={"x-request-id": "two words"}).headers["x-request-id"]
    assert made not in ("two words", client.get("/about").headers["x-request-id"])
    with own_logs():
        configure_logging("json")
        client.get("/about", headers={"x-request-id": "mine-2"})
        line = json.loads(capsys.readouterr().err.splitlines()[-1])
        assert (line["level"], line["request_id"]) == ("INFO", "mine-2")
        assert (line["method"], line["route"], line["status"]) == ("GET", "/about", 200)
        assert line["milliseconds"] >= 0
        configure_logging("text")
        client.get("/about", headers={"x-request-id": "mine-3"})
        text = capsys.readouterr().err.splitlines()[-1]
        assert re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z INFO    \[mine-3\] GET /about 200 ", text)
        forged = "2026-01-01T00:00:00.000Z INFO    [x] GET /about 200"
        for end in ("\n", "\r", "\r\n", "\x85", "\u2028", "\x0b", "\x1b[2K"):
            for format in ("text", "json"):
                configure_logging(format)
                logging.getLogger("commonspace.serve").error("a photo%s%s", end, forged)
                written = capsys.readouterr().err
                assert sum(line.startswith("20") for line in written.splitlines()) == (
                    format == "text"
                )
                assert "\x1b" not in written


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:8000"}, 200),
        ({"host": "evil.example"}, 403),
        ({"host": "127.0.0.1.evil.example:8000"}, 403),
        ({"host": "a@127.0.0.1"}, 403),
        ({"host": "[::1"}, 403),
        ({"origin": "http://127.0.0.1:8000"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
    ],
)
def test_pages_of_other_sites_are_refused(
    client: TestClient, headers: dict[str, str], status: int
) -> None:
    answer = client.post("/search", json=QUERY, headers=headers)
    assert answer.status_code == status
    assert "access-control-allow-origin" not in answer.headers


def test_a_link_from_another_site_opens_the_page(client: TestClient) -> None:
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/", headers=link).status_code == 200


@pytest.mark.parametrize("path", ["/", "/about", "/nowhere", "/items/a%2Fb/image"])
def test_every_response_has_the_security_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'self'")
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"]


def test_fast_callers_are_told_when_to_retry(index: Path, serve: Serve) -> None:
    with serve(index, rate=0.5, burst=3) as client:
        answers = [client.get("/about") for _ in range(4)]
        assert [one.status_code for one in answers] == [200, 200, 200, 429]
        assert answers[3].headers["retry-after"] in ("1", "2")  # by the clock
        assert client.get("/health").status_code == 200


def test_a_large_body_is_refused_while_it_arrives(index: Path, serve: Serve) -> None:
    read = []

    def endless() -> Iterator[bytes]:
        for _ in range(1000):
            read.append(1)
            yield b" " * 1000

    with serve(index, max_body=5000) as client:
        whole = client.post("/search", content=b" " * 5001)
        assert whole.status_code == 413
        streamed = client.post(
            "/search", content=endless(), headers={"content-type": "application/json"}
        )
        assert streamed.status_code == 413
        assert "5,000 bytes" in streamed.json()["error"]["expected"]
        assert client.post("/search", json=QUERY).status_code == 200


@pytest.mark.parametrize("path", ["/search", "/v1/facets", "/v1/feedback", "/v1/items/batch"])
def test_large_json_is_not_read_into_memory(index: Path, serve: Serve, path: str) -> None:
    """Sixty callers with 20 MB each would take gigabytes, whether they may write or not."""
    body = b'{"text": "' + b"a" * 1_100_000 + b'"}'
    headers = {"content-type": "application/json"}
    with serve(index) as client:
        response = client.post(path, content=body, headers=headers)
        assert response.status_code == 413
        assert response.json()["error"]["expected"] == "at most 1,048,576 bytes"
    with serve(index, writable=True) as client:
        response = client.post(path, content=body, headers=headers)
        assert response.status_code == (422 if path.endswith("batch") else 413)


def test_the_texts_of_a_form_are_limited_together(index: Path, serve: Serve) -> None:
    with serve(index) as client:
        fields = {f"text{number}": "a" * 900_000 for number in range(3)}
        response = client.post("/search", data=fields, files={"image": b""})
        assert response.status_code == 400
        assert "2,097,152 bytes of text" in response.json()["error"]["found"]


def test_a_client_that_is_still_sending_gets_the_response(index: Path, listening: Listen) -> None:
    """Without reading on, it gets a reset connection."""
    body = b" " * 20_000_000
    with listening(build_app(index, ServiceSettings(max_body=5000, decode_workers=1))) as address:
        for _ in range(3):
            connection = HTTPConnection(address.removeprefix("http://"), timeout=20)
            connection.request("POST", "/search", body, {"content-type": "application/json"})
            response = connection.getresponse()
            assert (response.status, response.getheader("connection")) == (413, "close")
            assert b"5,000 bytes" in response.read()
            connection.close()


def test_internal_errors_show_no_trace(
    index: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from commonspace.serve.service import Service

    app = build_app(index, ServiceSettings(rate=0))

    def broken(*given: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(Service, "item", broken)
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        answer = client.get("/items/any")
    assert answer.status_code == 500
    assert answer.json()["error"]["problem"] == "internal error"
    assert "secret" not in answer.text


def test_the_log_has_routes_but_no_content(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "commonspace"):
        client.post("/search", json={"text": "a very private red wall"})
        client.get("/items/two%20words")
        client.get("/items/two%20words/thumbnail")
    text = caplog.text
    assert "POST /search 200" in text
    assert "GET /items/{id:path} 200" in text
    assert "private" not in text
    assert "two" not in text


def test_metrics_count_responses(index: Path, serve: Serve) -> None:
    with serve(index) as client:
        for _ in range(3):
            client.post("/search", json=QUERY)
        client.post("/search", json={})
        text = client.get("/metrics").text
    route = 'method="POST",route="/search"'
    assert f'commonspace_requests_total{{{route},status="200"}} 3.0' in text
    assert f'commonspace_requests_total{{{route},status="400"}} 1.0' in text
    assert "commonspace_batch_queries_sum 3.0" in text
    assert "commonspace_items 36.0" in text


@pytest.mark.parametrize(
    ("name", "value"),
    [("batch_size", 0), ("rate", -1), ("decode_seconds", 0), ("decode_memory", 1)],
)
def test_a_setting_out_of_range_is_refused(name: str, value: float) -> None:
    with pytest.raises(SettingError, match=name):
        ServiceSettings(**{name: value})  # type: ignore[arg-type]


def test_tokens_return_at_the_rate() -> None:
    now = [0.0]
    limit = RateLimit(2.0, 4, clock=lambda: now[0])
    taken = 0
    for tick in range(1001):  # ten seconds, a hundred requests in each
        now[0] = tick / 100
        taken += limit.wait("me") == 0
    assert taken == pytest.approx(4 + 2.0 * 10, abs=1)
