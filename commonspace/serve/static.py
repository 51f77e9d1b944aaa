"""Files of the page, read once into memory: no request reaches the file system."""

from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import Request, Response

__all__ = ["PageFile", "cached_response", "load_page"]

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}


@dataclass(frozen=True)
class PageFile:
    """A file of the page."""

    content: bytes
    media_type: str
    etag: str


def load_page() -> dict[str, PageFile]:
    """Return path -> file, such as "index.html" or "vendor/d3.min.js"."""
    root = files("commonspace.serve").joinpath("page")
    return dict(_walk(root, "")) if root.is_dir() else {}


def cached_response(
    request: Request, content: bytes, media_type: str, etag: str = "", cache: str = "private"
) -> Response:
    """Return content that a browser may store and must revalidate; 304 if it has it already.

    Args:
        request: its If-None-Match header is used.
        content: the body.
        media_type: of the body.
        etag: of the content; "": computed here.
        cache: "private" or "public".
    """
    tag = etag or _etag(content)
    headers = {"ETag": tag, "Cache-Control": f"{cache}, no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, PageFile]]:
    found: list[tuple[str, PageFile]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _walk(entry, f"{prefix}{entry.name}/")
            continue
        suffix = "." + entry.name.rpartition(".")[2]
        if suffix in MEDIA_TYPES:
            content = entry.read_bytes()
            page_file = PageFile(content, MEDIA_TYPES[suffix], _etag(content))
            found.append((prefix + entry.name, page_file))
    return found


def _etag(content: bytes) -> str:
    return f'"{sha256(content).hexdigest()[:32]}"'
