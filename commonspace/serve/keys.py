"""API keys: creation, storage as hashes, comparison.

A key has 256 random bits, so a plain SHA-256 of it cannot be reversed by guessing. The file holds
one key a line: its name, its hash, and "write" where it may change the index.
"""

import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from commonspace.atomic import replace_file
from commonspace.errors import FileFormatError, SettingError

__all__ = ["ApiKey", "add_key", "find_key", "read_keys"]

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
            advice=f"create one: commonspace key {file} NAME",
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
            advice=f"create one: commonspace key {file} NAME",
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
