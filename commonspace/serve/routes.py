"""The addresses of the service: requests checked at the door, answers from the engine."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote

import numpy as np
from fastapi import FastAPI, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from numpy.typing import NDArray

from commonspace.serve.batching import Batcher
from commonspace.serve.bodies import openapi_body, parsed
from commonspace.serve.engine import Asked, Engine, no_item
from commonspace.serve.messages import (
    AboutAnswer,
    Health,
    ItemAnswer,
    MapAnswer,
    NewItem,
    SearchAnswer,
    SearchRequest,
    Written,
)
from commonspace.serve.metrics import Metrics
from commonspace.serve.page_files import PageFile
from commonspace.serve.pictures import Decoder, Thumbnails, photo_bytes, png_of
from commonspace.serve.refusals import RESPONSES, RefusedError
from commonspace.serve.settings import ServiceSettings

__all__ = ["Parts", "add_routes"]

LOG = logging.getLogger("commonspace.serve.queries")

ALWAYS = (401, 403, 429, 500)


@dataclass(frozen=True)
class Parts:
    """What the routes are made of."""

    engine: Engine
    batcher: Batcher[Asked, SearchAnswer]
    decoder: Decoder
    thumbnails: Thumbnails
    metrics: Metrics
    map_text: Callable[[], bytes]
    page: Mapping[str, PageFile]
    settings: ServiceSettings


def add_routes(app: FastAPI, parts: Parts) -> None:
    """Add every address to an application."""
    _add_search(app, parts)
    _add_pictures(app, parts)  # before the items: their addresses end in a word of their own
    _add_items(app, parts)
    _add_state(app, parts)
    _add_page(app, parts)


def _add_search(app: FastAPI, parts: Parts) -> None:
    @app.post(
        "/search",
        response_model=SearchAnswer,
        responses=_errors(400, 404, 408, 413, 415, 422, 503),
        openapi_extra=openapi_body(SearchRequest),
    )
    async def search(request: Request) -> SearchAnswer:
        """Find the items that fit words, an image or another item best."""
        began = time.perf_counter()
        asked, image = await parsed(request, SearchRequest)
        if asked.text is None and asked.id is None and asked.vector is None and image is None:
            raise RefusedError(
                400,
                "nothing is asked",
                expected="text, image, vector or id",
                advice='send {"text": "a red kite"}',
            )
        pixels = await _decoded(parts, image)
        if parts.settings.log_queries:
            LOG.info("%s", ascii(asked.model_dump(exclude_none=True)))
        return await parts.batcher.ask(Asked(asked, pixels, began), parts.settings.answering)


def _add_pictures(app: FastAPI, parts: Parts) -> None:
    pictures: dict[str, Any] = {"content": {"image/jpeg": {}, "image/png": {}, "image/webp": {}}}

    @app.get(
        "/items/{id:path}/image",
        response_class=Response,
        responses={200: pictures, **_errors(400, 404, 422, 503)},
    )
    def image(request: Request, id: str) -> Response:
        """Return the picture of an item."""
        picture = parts.engine.picture(_id(id))
        if isinstance(picture, Path):
            return _lasting(request, *photo_bytes(picture, parts.settings.pixels))
        return _lasting(request, png_of(picture), "image/png")

    @app.get(
        "/items/{id:path}/thumbnail",
        response_class=Response,
        responses={200: {"content": {"image/jpeg": {}}}, **_errors(400, 404, 422, 503)},
    )
    def thumbnail(
        request: Request, id: str, size: Annotated[int, Query(ge=16, le=1024)] = 256
    ) -> Response:
        """Return the picture of an item, scaled to fit into a square."""
        picture = parts.engine.picture(_id(id))
        small = parts.thumbnails.of(picture, size, parts.settings.pixels)
        return _lasting(request, small, "image/jpeg")


def _add_items(app: FastAPI, parts: Parts) -> None:
    @app.get("/items/{id:path}", response_model=ItemAnswer, responses=_errors(400, 404, 422, 503))
    def item(id: str) -> ItemAnswer:
        """Return all that is known of an item."""
        return parts.engine.item(_id(id))

    @app.post(
        "/items",
        response_model=Written,
        responses={
            201: {"model": Written, "description": "added"},
            **_errors(400, 408, 413, 415, 422, 503),
        },
        openapi_extra=openapi_body(NewItem),
    )
    async def put(request: Request, response: Response) -> Written:
        """Put an item in, or another one in its place; where the service is writable."""
        _check_writable(parts)
        new, image = await parsed(request, NewItem)
        written = await run_in_threadpool(parts.engine.put, new, await _decoded(parts, image))
        response.status_code = 201 if written.change == "added" else 200
        return written

    @app.delete("/items/{id:path}", response_model=Written, responses=_errors(400, 404, 422, 503))
    def remove(id: str) -> Written:
        """Take an item out; where the service is writable."""
        _check_writable(parts)
        return parts.engine.remove(_id(id))


def _add_state(app: FastAPI, parts: Parts) -> None:
    @app.get("/about", response_model=AboutAnswer, responses=_errors(503))
    def about() -> AboutAnswer:
        """Return what there is to search in."""
        return parts.engine.about()

    @app.get(
        "/map",
        response_class=Response,
        responses={200: {"model": MapAnswer}, **_errors(404, 503)},
    )
    def map_(request: Request) -> Response:
        """Return every item on a plane."""
        return _lasting(request, parts.map_text(), "application/json")

    @app.get("/health", response_model=Health)
    def health() -> Health:
        """Tell that the process answers."""
        return Health(status="alive")

    @app.get("/ready", response_model=Health, responses=_errors(503))
    def ready() -> Health:
        """Tell that the index answers."""
        with parts.engine.holder.lease() as index:
            len(index)
        if parts.engine.holder.problem:
            return Health(status=parts.engine.holder.problem)
        return Health(status="ready")

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    def metrics() -> Response:
        """Return the figures of the service, as Prometheus reads them."""
        with parts.engine.holder.lease() as index:
            text = parts.metrics.text(len(index))
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def _add_page(app: FastAPI, parts: Parts) -> None:
    @app.get("/", include_in_schema=False)
    def front(request: Request) -> Response:
        return _file(request, parts.page, "index.html")

    @app.get("/page/{name:path}", include_in_schema=False)
    def file(request: Request, name: str) -> Response:
        return _file(request, parts.page, name)


def _file(request: Request, page: Mapping[str, PageFile], name: str) -> Response:
    if name not in page:
        raise RefusedError(404, "the page has no such file")
    found = page[name]
    return _with_tag(request, found.content, found.media_type, found.etag, "no-cache")


def _lasting(request: Request, content: bytes, media_type: str) -> Response:
    """Return content that a browser may keep, and asks about again."""
    tag = f'"{sha256(content).hexdigest()[:32]}"'
    return _with_tag(request, content, media_type, tag, "private, no-cache")


def _with_tag(request: Request, content: bytes, media_type: str, tag: str, cache: str) -> Response:
    headers = {"ETag": tag, "Cache-Control": cache}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)


async def _decoded(parts: Parts, image: bytes | None) -> NDArray[np.uint8] | None:
    return None if image is None else await run_in_threadpool(parts.decoder.decode, image)


def _check_writable(parts: Parts) -> None:
    if not parts.settings.writable:
        raise RefusedError(
            403, "the service does not change its index", advice="start it with --writable"
        )


def _id(quoted: str) -> str:
    """Return an id from the address, which is still as it was sent."""
    try:
        id = unquote(quoted, errors="strict")
    except UnicodeDecodeError as exc:
        raise RefusedError(
            400, "the id is not UTF-8", found=ascii(quoted)[:80], advice="percent-encode UTF-8"
        ) from exc
    if not id or len(id) > 1000:
        raise no_item(id)
    return id


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: RESPONSES[status] for status in (*statuses, *ALWAYS)}
