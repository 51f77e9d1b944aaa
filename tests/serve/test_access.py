"""API keys, sessions of the page and permissions."""

from hashlib import sha256
from pathlib import Path

import pytest

from commonspace.errors import FileFormatError, SettingError
from commonspace.serve.access import (
    COOKIE,
    SESSION_SECONDS,
    Access,
    ApiKey,
    add_key,
    find_key,
    read_keys,
)


def test_a_key_file_has_hashes_only_and_is_private(tmp_path: Path) -> None:
    first = add_key(tmp_path / "keys", "one")
    second = add_key(tmp_path / "keys", "two", write=True)
    text = (tmp_path / "keys").read_text()
    assert first not in text
    assert second not in text
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o600
    keys = read_keys(tmp_path / "keys")
    assert keys == {
        "one": ApiKey(sha256(first.encode()).hexdigest()),
        "two": ApiKey(sha256(second.encode()).hexdigest(), write=True),
    }
    names = [find_key(keys, key) for key in (first, second, "", text)]
    assert names == ["one", "two", None, None]
    with pytest.raises(SettingError, match="cannot be added"):
        add_key(tmp_path / "keys", "one")
    (tmp_path / "keys").write_text("one two three\n")
    with pytest.raises(FileFormatError, match="line 1: not an API key"):
        read_keys(tmp_path / "keys")
    (tmp_path / "keys").write_text("# nothing\n")
    with pytest.raises(FileFormatError, match="contains no key"):
        read_keys(tmp_path / "keys")
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_keys(tmp_path / "absent")


def keys_of(**write: bool) -> dict[str, ApiKey]:
    return {name: ApiKey(sha256(name.encode()).hexdigest(), may) for name, may in write.items()}


def test_a_session_stands_for_its_key_until_it_ends() -> None:
    now = [0.0]
    access = Access(keys_of(one=True), clock=lambda: now[0])
    key = {"authorization": "Bearer one"}
    plain = access.identify(key)
    assert plain is not None
    assert (plain.name, plain.may_write, plain.session) == ("key: one", True, "")
    page = access.identify({**key, "sec-fetch-site": "same-origin"})
    assert page is not None
    assert page.session
    assert page.session != "one"
    cookie = {"cookie": f"{COOKIE}={page.session}"}
    later = access.identify(cookie)
    assert later is not None
    assert (later.name, later.may_write, later.session) == ("key: one", False, "")
    again = access.identify({**key, **cookie, "sec-fetch-site": "same-origin"})
    assert again is not None
    assert again.session == ""  # it has one
    assert access.identify({"cookie": f"{COOKIE}=one"}) is None  # a key is no session
    now[0] = SESSION_SECONDS + 1
    assert access.identify(cookie) is None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "one"},
        {"authorization": "Basic one"},
        {"authorization": "Bearer two"},
        {"authorization": "Bearer \udcff"},
        {"cookie": "commonspace=one"},
        {"cookie": "\x00=;;="},
    ],
)
def test_unknown_callers_are_not_identified(headers: dict[str, str]) -> None:
    assert Access(keys_of(one=False)).identify(headers) is None
