"""API keys: made, kept as hashes, compared. It knows no HTTP.

A key is 256 random bits, so that a plain SHA-256 of it cannot be turned back by guessing; the file
holds a name and a hash in each line, and never a key.
"""

import hmac
import re
import secrets
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from commonspace.atomic import replacing
from commonspace.errors import FileFormatError, SettingError

__all__ = ["add_key", "known_key", "read_keys"]

_LINE = re.compile(r"(\S+) ([0-9a-f]{64})")
_NAME = re.compile(r"[\w.\-]{1,64}")


def add_key(file: Path, name: str) -> str:
    """Make a key, add its hash to a file, and return the key, which is kept nowhere.

    Args:
        file: made where it is not there; readable by its owner alone.
        name: whom the key is for: letters, digits, dots and hyphens.

    Raises:
        SettingError: the name is taken or has other characters.
        FileFormatError: the file holds something else.
        OutputError: the file cannot be written.
    """
    known = read_keys(file) if file.exists() else {}
    if name in known or not _NAME.fullmatch(name):
        raise SettingError(
            "a key cannot be made under this name",
            expected="a name of letters, digits, dots and hyphens that is not in the file yet",
            found=repr(name),
            advice="choose another name, or delete its line to withdraw the old key",
        )
    key = secrets.token_urlsafe(32)
    hashes = {**known, name: sha256(key.encode()).hexdigest()}
    with replacing(file, overwrite=True) as draft:
        draft.write_text("".join(f"{who} {digest}\n" for who, digest in hashes.items()), "utf-8")
    file.chmod(0o600)
    return key


def read_keys(file: Path) -> dict[str, str]:
    """Return name -> SHA-256 of each key of a file.

    Raises:
        FileFormatError: the file is missing, or a line is no name with a hash.
    """
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise FileFormatError(
            f"{file} cannot be read as a file of keys",
            expected="a name and a hash in each line, as commonspace key writes them",
            found=getattr(exc, "strerror", None) or "no text",
            advice=f"make one: commonspace key {file} NAME",
        ) from exc
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise FileFormatError(
                f"{file}, line {number}, is no key",
                expected="a name and 64 hexadecimal digits",
                found=f"{len(line)} characters",
                advice="correct the line, or delete it and make a new key",
            )
        found[match[1]] = match[2]
    if not found:
        raise FileFormatError(
            f"{file} holds no key",
            expected="at least one",
            found="none",
            advice=f"make one: commonspace key {file} NAME",
        )
    return found


def known_key(keys: Mapping[str, str], given: str) -> str | None:
    """Return the name of a key, None where it is none; as slow for a wrong one as for a right one.

    Args:
        keys: name -> SHA-256.
        given: what a caller sent.
    """
    digest = sha256(given.encode("utf-8", "surrogateescape")).hexdigest()
    found = None
    for name, known in keys.items():  # all of them, whichever fits
        if hmac.compare_digest(known, digest):
            found = name
    return found
