"""Who may ask, how much and how fast; and what every answer carries."""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from commonspace.errors import FileFormatError, SettingError
from commonspace.serve import ServiceSettings, build_app
from commonspace.serve.keys import add_key, known_key, read_keys
from commonspace.serve.rate import RateLimit

Serve = Callable[..., AbstractContextManager[TestClient]]

ASKED = {"text": "a red wall", "k": 1}


def test_without_a_known_key_nothing_is_told(index: Path, serve: Serve, tmp_path: Path) -> None:
    key = add_key(tmp_path / "keys", "laptop")
    with serve(index, keys=read_keys(tmp_path / "keys")) as client:
        for path in ("/about", "/map", "/metrics", "/items/a%2Fb", "/items/a%2Fb/image"):
            for headers in ({}, {"authorization": f"Bearer {key[:-1]}"}, {"authorization": key}):
                answer = client.get(path, headers=headers)
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"] == "Bearer"
        assert client.post("/search", json=ASKED).status_code == 401
        right = {"authorization": f"Bearer {key}"}
        assert client.get("/about", headers=right).status_code == 200
        assert client.post("/search", json=ASKED, headers=right).status_code == 200
        for path in ("/health", "/ready", "/"):
            assert client.get(path).status_code == 200


def test_the_page_gets_a_cookie_that_its_pictures_bring(
    index: Path, serve: Serve, tmp_path: Path
) -> None:
    key = add_key(tmp_path / "keys", "laptop")
    with serve(index, keys=read_keys(tmp_path / "keys")) as client:
        right = {"authorization": f"Bearer {key}"}
        assert "set-cookie" not in client.get("/about", headers=right).headers
        answer = client.get("/about", headers={**right, "sec-fetch-site": "same-origin"})
        assert {"HttpOnly", "SameSite=Strict"} <= set(answer.headers["set-cookie"].split("; "))
        assert client.get("/items/a%2Fb/thumbnail").status_code == 200  # with the cookie alone


def test_a_file_of_keys_holds_none_and_is_its_owners_alone(tmp_path: Path) -> None:
    first, second = (add_key(tmp_path / "keys", name) for name in ("one", "two"))
    text = (tmp_path / "keys").read_text()
    assert first not in text
    assert second not in text
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o600
    keys = read_keys(tmp_path / "keys")
    assert keys == {
        "one": sha256(first.encode()).hexdigest(),
        "two": sha256(second.encode()).hexdigest(),
    }
    assert [known_key(keys, given) for given in (first, second, "", text)] == [
        "one",
        "two",
        None,
        None,
    ]
    with pytest.raises(SettingError, match="cannot be made under this name"):
        add_key(tmp_path / "keys", "one")
    (tmp_path / "keys").write_text("one two three\n")
    with pytest.raises(FileFormatError, match="line 1, is no key"):
        read_keys(tmp_path / "keys")
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_keys(tmp_path / "absent")


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
def test_pages_of_other_sites_may_not_ask(
    client: TestClient, headers: dict[str, str], status: int
) -> None:
    answer = client.post("/search", json=ASKED, headers=headers)
    assert answer.status_code == status
    assert "access-control-allow-origin" not in answer.headers


def test_a_link_from_another_site_opens_the_page(client: TestClient) -> None:
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/", headers=link).status_code == 200


@pytest.mark.parametrize("path", ["/", "/about", "/nowhere", "/items/a%2Fb/image"])
def test_every_answer_carries_the_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'self'")
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"]


def test_who_asks_too_fast_is_told_when_to_come_again(index: Path, serve: Serve) -> None:
    with serve(index, rate=0.5, burst=3) as client:
        answers = [client.get("/about") for _ in range(4)]
        assert [one.status_code for one in answers] == [200, 200, 200, 429]
        assert answers[3].headers["retry-after"] == "2"
        assert client.get("/health").status_code == 200


def test_tokens_come_back_at_the_rate() -> None:
    now = [0.0]
    limit = RateLimit(2.0, 4, clock=lambda: now[0])
    taken = 0
    for tick in range(1001):  # ten seconds, a hundred tries in each
        now[0] = tick / 100
        taken += limit.wait("me") == 0
    assert taken == pytest.approx(4 + 2.0 * 10, abs=1)


def test_a_body_that_is_too_large_is_refused_while_it_comes(index: Path, serve: Serve) -> None:
    read = []

    def endless() -> Iterator[bytes]:
        for _ in range(1000):
            read.append(1)
            yield b" " * 1000

    with serve(index, body=5000) as client:
        whole = client.post("/search", content=b" " * 5001)
        assert whole.status_code == 413
        streamed = client.post(
            "/search", content=endless(), headers={"content-type": "application/json"}
        )
        assert streamed.status_code == 413
        assert "5,000 bytes" in streamed.json()["error"]["expected"]
        assert client.post("/search", json=ASKED).status_code == 200


def test_an_error_on_this_side_tells_no_trace(
    index: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from commonspace.serve.engine import Engine

    app = build_app(index, ServiceSettings(rate=0))

    def broken(*given: object) -> None:
        raise RuntimeError("secret of the house")

    monkeypatch.setattr(Engine, "item", broken)
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        answer = client.get("/items/any")
    assert answer.status_code == 500
    assert answer.json()["error"]["problem"] == "an error on this side"
    assert "secret" not in answer.text


def test_the_log_holds_routes_and_nothing_of_what_is_asked(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "commonspace"):
        client.post("/search", json={"text": "very private words"})
        client.get("/items/two%20words")
        client.get("/items/two%20words/thumbnail")
    text = caplog.text
    assert "POST /search 200" in text
    assert "GET /items/{id:path} 200" in text
    assert "private" not in text
    assert "two" not in text


def test_the_figures_count_what_was_answered(index: Path, serve: Serve) -> None:
    with serve(index) as client:
        for _ in range(3):
            client.post("/search", json=ASKED)
        client.post("/search", json={})
        text = client.get("/metrics").text
    route = 'method="POST",route="/search"'
    assert f'commonspace_requests_total{{{route},status="200"}} 3.0' in text
    assert f'commonspace_requests_total{{{route},status="400"}} 1.0' in text
    assert "commonspace_batch_queries_sum 3.0" in text
    assert "commonspace_items 36.0" in text


@pytest.mark.parametrize(("name", "value"), [("batch", 0), ("rate", -1), ("decoding", 0)])
def test_a_setting_that_cannot_work_is_refused(name: str, value: float) -> None:
    with pytest.raises(SettingError, match=name):
        ServiceSettings(**{name: value})  # type: ignore[arg-type]
