"""Access by API key or page session: keys, their storage as hashes, and who calls.

A key has 256 random bits, so a plain SHA-256 of it cannot be reversed by guessing. The file holds
one key a line: its name, its hash, and "write" where it may change the index.
"""

import hmac
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from shlex import quote

from commonspace.atomic import replace_file
from commonspace.errors import FileFormatError, SettingError

__all__ = ["COOKIE", "Access", "ApiKey", "Caller", "add_key", "find_key", "read_keys"]

COOKIE = "commonspace_session"
SESSION_SECONDS = 12 * 3600
MAX_SESSIONS = 10_000
_LINE = re.compile(r"(\S+) ([0-9a-f]{64})( write)?")
_NAME = re.compile(r"[\w.\-]{1,64}")


@dataclass(frozen=True)
class ApiKey:
    """An API key as it is stored."""

    sha256: str
    """Its hash, 64 hexadecimal digits."""
    write: bool = False
    """Whether it may change the index; every key may read."""


def add_key(file: Path, name: str, *, write: bool = False) -> str:
    """Create a key, add its hash to a file, and return the key, which is stored nowhere.

    Args:
        file: created if it does not exist; readable by its owner only.
        name: letters, digits, dots and hyphens; who uses the key.
        write: whether the key may change the index.

    Raises:
        SettingError: The name is taken or has other characters.
        FileFormatError: The file is not a key file.
        OutputError: The file cannot be written.
    """
    keys = read_keys(file) if file.exists() else {}
    if name in keys or not _NAME.fullmatch(name):
        raise SettingError(
            "a key with this name cannot be added",
            expected="a new name of letters, digits, dots and hyphens",
            found=repr(name),
            advice="choose another name, or delete the line of the old key to revoke it",
        )
    key = secrets.token_urlsafe(32)
    keys = {**keys, name: ApiKey(sha256(key.encode()).hexdigest(), write)}
    lines = [f"{who} {entry.sha256}{' write' * entry.write}\n" for who, entry in keys.items()]
    with replace_file(file, overwrite=True) as draft:
        draft.write_text("".join(lines), "utf-8")
    file.chmod(0o600)
    return key


def read_keys(file: Path) -> dict[str, ApiKey]:
    """Return name -> key of a key file.

    Raises:
        FileFormatError: The file is missing, has no key, or has another form.
    """
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise FileFormatError(
            f"{file} cannot be read as a key file",
            expected="a name and a hash in each line, as written by commonspace key",
            found=getattr(exc, "strerror", None) or "not a text file",
            advice=f"create one: commonspace key {quote(str(file))} NAME",
        ) from exc
    keys: dict[str, ApiKey] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise FileFormatError(
                f"{file}, line {number}: not an API key",
                expected='a name, 64 hexadecimal digits, and "write" for a key that may write',
                found=f"{len(line)} characters",
                advice="correct the line, or delete it and create a new key",
            )
        keys[match[1]] = ApiKey(match[2], write=match[3] is not None)
    if not keys:
        raise FileFormatError(
            f"{file} contains no key",
            expected="at least one",
            found="none",
            advice=f"create one: commonspace key {quote(str(file))} NAME",
        )
    return keys


def find_key(keys: Mapping[str, ApiKey], key: str) -> str | None:
    """Return the name of a key, or None if it is unknown; takes the same time for both.

    Args:
        keys: name -> key.
        key: as a caller sent it.
    """
    digest = sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
    match = None
    for name, stored in keys.items():  # compares all of them
        if hmac.compare_digest(stored.sha256, digest):
            match = name
    return match


@dataclass(frozen=True)
class Caller:
    """Who sent a request."""

    name: str
    """"key: NAME", or the network address where the service needs no keys."""
    may_write: bool
    session: str = ""
    """A new session token that the response is to set as a cookie."""


class Access:
    """Identifies the callers of a service that needs keys.

    The page sends its key once. It then gets a session cookie, since an img element cannot send
    the Authorization header. A session ends with the process or after twelve hours, and may only
    read.

    Args:
        keys: name -> API key.
        clock: seconds.
    """

    def __init__(
        self, keys: Mapping[str, ApiKey], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._sessions: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def identify(self, headers: Mapping[str, str]) -> Caller | None:
        """Return the caller, or None if the request has no valid key.

        Args:
            headers: of the request, names in lower case.
        """
        owner = self._session_owner(headers.get("cookie", ""))
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            return Caller(f"key: {owner}", may_write=False) if owner else None
        name = find_key(self._keys, key.strip())
        if name is None:
            return None
        from_page = headers.get("sec-fetch-site") == "same-origin"
        session = self._start_session(name) if from_page and owner != name else ""
        return Caller(f"key: {name}", self._keys[name].write, session)

    def _start_session(self, name: str) -> str:
        token = secrets.token_urlsafe(32)
        self._sessions[_digest(token)] = (name, self._clock() + SESSION_SECONDS)
        while len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return token

    def _session_owner(self, cookies: str) -> str | None:
        try:
            cookie = SimpleCookie(cookies).get(COOKIE)
        except CookieError:
            return None
        name, end = self._sessions.get(_digest(cookie.value), ("", 0.0)) if cookie else ("", 0.0)
        return name if name in self._keys and self._clock() < end else None


def _digest(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
