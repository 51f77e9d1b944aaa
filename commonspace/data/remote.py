"""Data sets on object storage: a URL of fsspec becomes a local copy that later reads use again.

    s3://bucket/photos -> <cache>/remote/<hash of the URL>/photos

An object is downloaded again where its size, version or time has changed, and its copy is deleted
where it is gone. What is read is therefore always a file or folder of this machine.
"""

import json
import os
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from commonspace.atomic import replace_file, write_error
from commonspace.cache_folder import default_cache
from commonspace.errors import DataError, MissingExtraError
from commonspace.json_text import parse_json

__all__ = ["is_url", "local_copy"]

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_DOWNLOADS = 8
_VERSION_KEYS = ("ETag", "etag", "LastModified", "last_modified", "mtime", "created")


def is_url(place: str) -> bool:
    """Return whether a place is a URL, such as s3://bucket/folder, rather than a path.

    Example:
        >>> is_url("s3://bucket/photos"), is_url("photos"), is_url("webdataset:photos")
        (True, False, False)
    """
    return bool(_URL.match(place))


def local_copy(url: str, cache: Path | None = None) -> Path:
    """Return the local copy of a file or folder, after downloading what is new or has changed.

    Args:
        url: such as "s3://bucket/features", which PyArrow reads with the credentials and the
            endpoint of the variables AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL;
            other storage is read by the package that fsspec names for it.
        cache: the folder of the copies; None: the cache folder of this user.

    Raises:
        DataError: there is no such file or folder, or it cannot be read.
        MissingExtraError: the package of this kind of URL is not installed.
    """
    try:
        files, root = _storage(url)
        if "file" in files.protocol:
            return Path(root)
        found = _listing(files, root)
    except ImportError as exc:
        raise MissingExtraError(
            f"{url} needs a package that is not installed",
            expected="the package of fsspec for this kind of URL",
            found=str(exc),
            advice="install it: gcsfs for gs://, adlfs for abfs://, aiohttp for https://",
        ) from exc
    except Exception as exc:  # each storage raises errors of its own packages
        raise _unreadable(url, f"{type(exc).__name__}: {exc}") from exc
    if not found:
        raise _unreadable(url, "no file of this name, and none below it")
    home = (cache or default_cache()) / "remote" / sha256(url.encode()).hexdigest()[:24]
    target = home / (PurePosixPath(root).name or "data")
    _update(files, found, target, home / "versions.json")
    return target


def _storage(url: str) -> tuple[Any, str]:
    """Return the file system of fsspec for a URL, and the path in it."""
    from fsspec.core import url_to_fs

    if not url.lower().startswith("s3://"):
        files, root = url_to_fs(url)
        return files, str(root)
    from fsspec.implementations.arrow import ArrowFSWrapper
    from pyarrow.fs import S3FileSystem

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    scheme, _, host = (endpoint or "").rpartition("://")
    options = {"endpoint_override": host, "scheme": scheme or "https"} if host else {}
    return ArrowFSWrapper(S3FileSystem(**options)), url[len("s3://") :]


def _listing(files: Any, root: str) -> dict[str, dict[str, Any]]:  # noqa: ANN401 - untyped
    """Return the path of each file below the root, "" for the root itself -> name and version."""
    if files.isfile(root):
        entries = {root: files.info(root)}
    elif files.exists(root):
        entries = files.find(root, detail=True)
    else:
        entries = {}
    stem = files._strip_protocol(root).rstrip("/")
    return {
        name.removeprefix(stem).lstrip("/"): {
            "name": name,
            "version": [str(info.get(key)) for key in ("size", *_VERSION_KEYS) if key in info],
        }
        for name, info in entries.items()
        if info.get("type") != "directory" and not name.endswith("/")
    }


def _update(
    files: Any,  # noqa: ANN401 - untyped
    found: Mapping[str, Mapping[str, Any]],
    target: Path,
    record: Path,
) -> None:
    """Download the files that are new or have changed, and delete the copies of others."""
    for path in found:
        if ".." in PurePosixPath(path).parts or PurePosixPath(path).is_absolute():
            raise _unreadable(path, "a name that leads out of the folder")
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise write_error(record, exc) from exc
    try:
        known: dict[str, Any] = parse_json(record.read_text())
    except (OSError, ValueError):
        known = {}
    versions = {path: list(entry["version"]) for path, entry in found.items()}

    def download(path: str) -> None:
        place = target / path if path else target
        if known.get(path) == versions[path] and place.exists():
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        with replace_file(place, overwrite=True) as draft:
            try:
                files.get_file(found[path]["name"], str(draft))
            except Exception as exc:  # of the storage, not of the disk
                name = found[path]["name"]
                raise _unreadable(name, f"{type(exc).__name__}: {exc}") from exc

    with ThreadPoolExecutor(_DOWNLOADS) as pool:
        for _ in pool.map(download, found):
            pass
    for path in set(known) - set(found):
        (target / path).unlink(missing_ok=True)
    with replace_file(record, overwrite=True) as draft:
        draft.write_text(json.dumps(versions))


def _unreadable(url: str, found: str) -> DataError:
    return DataError(
        f"{url} cannot be read",
        expected="a file or folder of object storage that these credentials may list and read",
        found=found,
        advice="check the name, the credentials and the endpoint (for S3: AWS_ENDPOINT_URL)",
    )
