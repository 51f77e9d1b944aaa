"""One file from the net into its place: whole, with the right hash, or not at all.

An interrupted download goes on where it stopped. It knows nothing of what the file is.
"""

import os
from collections.abc import Callable
from hashlib import file_digest
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from commonspace.errors import DataError, FileFormatError, OutputError

__all__ = ["fetch"]

CHUNK = 1 << 20


def fetch(
    url: str,
    target: Path,
    sha256_prefix: str,
    *,
    timeout: float = 30,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> Path:
    """Return ``target``, after downloading it where it is not there yet.

    Args:
        url: where it can be had.
        target: where it shall lie. A partial download lies beside it, as ``target``.part.
        sha256_prefix: the first hexadecimal digits of its SHA-256.
        timeout: seconds without an answer after which to give up.
        progress: hears the bytes that are there, and how many there will be, if that is known.

    Raises:
        DataError: it cannot be had; the message says how to bring it.
        FileFormatError: what came has another hash. Nothing is left behind.
        OutputError: it cannot be written.
    """
    if target.exists():
        return target
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _download(url, part, timeout, progress)
    except (URLError, HTTPException, TimeoutError, ConnectionError) as exc:
        raise DataError(
            f"{target.name} is needed and cannot be downloaded",
            expected=f"an answer from {url}",
            found=str(getattr(exc, "reason", exc)),
            advice=f"fetch it on a machine with access and put it at {target}",
        ) from exc
    except OSError as exc:
        raise OutputError(
            f"{target} could not be written",
            expected="a folder that can be written to, with enough room",
            found=exc.strerror or str(exc),
            advice="free some room; a further try goes on where this one stopped",
        ) from exc
    with part.open("rb") as file:
        found = file_digest(file, "sha256").hexdigest()
    if not found.startswith(sha256_prefix):
        part.unlink()
        raise FileFormatError(
            f"what came from {url} is not the file that was asked for",
            expected=f"a SHA-256 that begins with {sha256_prefix}",
            found=found,
            advice="try again; if it stays so, somebody on the way changes the file",
        )
    part.replace(target)
    return target


def _download(
    url: str, part: Path, timeout: float, progress: Callable[[int, int | None], None]
) -> None:
    there = part.stat().st_size if part.exists() else 0
    request = Request(url, headers={"Range": f"bytes={there}-"} if there else {})
    try:
        answer = urlopen(request, timeout=timeout)
    except HTTPError as exc:
        if exc.code == 416:  # nothing is left to send: the hash decides
            return
        raise
    with answer, part.open("ab" if answer.status == 206 else "wb") as file:
        length = answer.headers.get("Content-Length")
        total = int(length) + file.tell() if length else None
        while chunk := answer.read(CHUNK):
            file.write(chunk)
            progress(file.tell(), total)
        file.flush()
        os.fsync(file.fileno())
        if total is not None and file.tell() < total:
            raise ConnectionError(f"the connection ended after {file.tell()} of {total} bytes")
