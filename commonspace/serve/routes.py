"""Routes of the service: validated requests in, responses of the service out.

The API is under /v1; the same paths without the prefix mean its newest version. Each of several
indexes has it under /v1/indexes/NAME, too.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import unquote

import numpy as np
from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from numpy.typing import NDArray
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect

from commonspace.serve.decoding import QUERY_SIDE, STORED_SIDE, DecodePool
from commonspace.serve.errors import RESPONSES, RequestError, unknown_item
from commonspace.serve.images import Thumbnails, encode_png, read_photo
from commonspace.serve.labels import LabelRequest, LabelResponse, NextLabelsResponse
from commonspace.serve.metrics import Metrics
from commonspace.serve.middleware import CALLER
from commonspace.serve.parsing import describe_body, parse
from commonspace.serve.schemas import (
    AboutResponse,
    BatchRequest,
    BatchResponse,
    EmbedRequest,
    EmbedResponse,
    FacetsRequest,
    FacetsResponse,
    FeedbackRequest,
    ItemResponse,
    ItemsResponse,
    MapResponse,
    NewItem,
    SearchRequest,
    SearchResponse,
    ServedIndex,
    StatusResponse,
    WriteResponse,
)
from commonspace.serve.search import Batcher, SearchJob
from commonspace.serve.service import Service
from commonspace.serve.settings import ServiceSettings
from commonspace.serve.snapshot_routes import add_snapshot_routes
from commonspace.serve.snapshots import Snapshots
from commonspace.serve.static import PageFile, cached_response

__all__ = ["Components", "add_routes"]

LOG = logging.getLogger("commonspace.serve.queries")
ResultT = TypeVar("ResultT")

_ALWAYS = (401, 403, 429, 500)
_IMAGES: dict[str, Any] = {"content": {"image/jpeg": {}, "image/png": {}, "image/webp": {}}}


@dataclass(frozen=True)
class Components:
    """What the routes use."""

    service: Service
    batcher: Batcher[SearchJob, SearchResponse]
    decoder: DecodePool
    thumbnails: Thumbnails
    metrics: Metrics
    read_map: Callable[[], bytes]
    snapshots: Snapshots
    page: Mapping[str, PageFile]
    settings: ServiceSettings


def add_routes(app: FastAPI, served: Mapping[str, Components]) -> None:
    """Add every route to an application.

    Args:
        app: the application.
        served: name -> components of an index; the first one has the short paths, too.
    """
    first = next(iter(served.values()))
    app.include_router(_index_router(first), prefix="/v1")
    app.include_router(_index_router(first), include_in_schema=False)
    _add_state(app, served)
    _add_page(app, first, "/")
    for name, components in served.items():
        for prefix in (f"/v1/indexes/{name}", f"/indexes/{name}/v1"):
            app.include_router(_index_router(components), prefix=prefix, include_in_schema=False)
        _add_page(app, components, f"/indexes/{name}/")


def _index_router(components: Components) -> APIRouter:
    """Return the routes of one index."""
    router = APIRouter()
    _add_search(router, components)
    _add_pictures(router, components)  # before the items: their paths have a further part
    _add_items(router, components)
    _add_contents(router, components)
    _add_labels(router, components)
    add_snapshot_routes(router, components.snapshots, partial(_check_writable, components))
    return router


def _add_search(router: APIRouter, components: Components) -> None:
    @router.post(
        "/search",
        response_model=SearchResponse,
        responses=_errors(400, 404, 408, 413, 415, 422, 503),
        openapi_extra=describe_body(SearchRequest),
    )
    async def search(request: Request) -> SearchResponse:
        """Search by text, image, vector or item."""
        start = time.perf_counter()
        async with parse(request, SearchRequest, components.decoder.admit) as (query, upload):
            given = (query.text, query.id, query.vector, upload)
            if all(value is None for value in given):
                raise RequestError(
                    400,
                    "the query is empty",
                    expected="text, image, vector or id",
                    advice='send {"text": "a red kite"}',
                )
            if components.settings.log_queries:
                LOG.info("%s", ascii(query.model_dump(exclude_none=True)))
            return await _while_connected(request, _search(components, query, upload, start))

    @router.post(
        "/embed",
        response_model=EmbedResponse,
        responses=_errors(400, 408, 413, 415, 422, 503),
        openapi_extra=describe_body(EmbedRequest),
    )
    async def embed(request: Request) -> EmbedResponse:
        """Return the query vector of a text or an image, to search with it several times."""
        async with parse(request, EmbedRequest, components.decoder.admit) as (query, upload):
            if upload is None:
                return await run_in_threadpool(components.service.embed, query.text, None)
            work = components.decoder.decode(upload.read, QUERY_SIDE)
            pixels = await _while_connected(request, work)
            return await run_in_threadpool(components.service.embed, query.text, pixels)


def _add_pictures(router: APIRouter, components: Components) -> None:
    @router.get(
        "/items/{id:path}/image",
        response_class=Response,
        responses={200: _IMAGES, **_errors(400, 404, 422, 503)},
    )
    def image(request: Request, id: str) -> Response:
        """Return the photo of an item, without its metadata."""
        picture = components.service.picture(_decode_id(id))
        if isinstance(picture, Path):
            return cached_response(request, *read_photo(picture))
        return cached_response(request, encode_png(picture), "image/png")

    @router.get(
        "/items/{id:path}/thumbnail",
        response_class=Response,
        responses={200: {"content": {"image/jpeg": {}}}, **_errors(400, 404, 422, 503)},
    )
    def thumbnail(
        request: Request, id: str, size: Annotated[int, Query(ge=16, le=1024)] = 256
    ) -> Response:
        """Return the photo of an item, scaled to fit into a square."""
        picture = components.service.picture(_decode_id(id))
        return cached_response(request, components.thumbnails.get(picture, size), "image/jpeg")


def _add_items(router: APIRouter, components: Components) -> None:
    @router.get("/items", response_model=ItemsResponse, responses=_errors(400, 422, 503))
    def items(
        where: Annotated[str | None, Query(max_length=20_000)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        cursor: Annotated[str | None, Query(max_length=100)] = None,
    ) -> ItemsResponse:
        """List items in pages; each page has the cursor of the next one."""
        return components.service.items(where, limit, cursor)

    @router.get(
        "/items/{id:path}", response_model=ItemResponse, responses=_errors(400, 404, 422, 503)
    )
    def item(id: str) -> ItemResponse:
        """Return an item with its class posterior and its nearest neighbors."""
        return components.service.item(_decode_id(id))

    @router.post(
        "/items",
        response_model=WriteResponse,
        responses={
            201: {"model": WriteResponse, "description": "The item was added."},
            **_errors(400, 408, 413, 415, 422, 503),
        },
        openapi_extra=describe_body(NewItem),
    )
    async def put(request: Request, response: Response) -> WriteResponse:
        """Add or replace an item; only if the service is writable."""
        _check_writable(components, request)
        async with parse(request, NewItem, components.decoder.admit) as (new, upload):
            pixels = None
            if upload is not None:
                work = components.decoder.decode(upload.read, STORED_SIDE)
                pixels = await _while_connected(request, work)
        written = await run_in_threadpool(components.service.put, new, pixels)
        response.status_code = 201 if written.change == "added" else 200
        return written

    @router.post(
        "/items/batch",
        response_model=BatchResponse,
        responses=_errors(400, 408, 413, 415, 422, 503),
    )
    def put_many(request: Request, batch: BatchRequest) -> BatchResponse:
        """Add or replace up to 1,000 items without images; only if the service is writable."""
        _check_writable(components, request)
        return components.service.put_many(batch.items)

    @router.delete(
        "/items/{id:path}", response_model=WriteResponse, responses=_errors(400, 404, 422, 503)
    )
    def remove(request: Request, id: str) -> WriteResponse:
        """Remove an item; only if the service is writable."""
        _check_writable(components, request)
        return components.service.remove(_decode_id(id))


def _add_contents(router: APIRouter, components: Components) -> None:
    @router.get("/about", response_model=AboutResponse, responses=_errors(503))
    def about() -> AboutResponse:
        """Return the contents of the index and the abilities of the service."""
        return components.service.about()

    @router.post("/facets", response_model=FacetsResponse, responses=_errors(400, 422, 503))
    def facets(query: FacetsRequest) -> FacetsResponse:
        """Return the numbers of items that match a filter, by field and value."""
        return components.service.facets(query)

    @router.post("/feedback", response_model=StatusResponse, responses=_errors(400, 404, 422, 503))
    def feedback(judgment: FeedbackRequest) -> StatusResponse:
        """Store whether a result is what a visitor looked for; with --feedback only."""
        components.service.judge(judgment)
        return StatusResponse(status="stored")

    @router.get(
        "/map",
        response_class=Response,
        responses={200: {"model": MapResponse}, **_errors(404, 503)},
    )
    def map_(request: Request) -> Response:
        """Return the map of all items."""
        return cached_response(request, components.read_map(), "application/json")


def _add_labels(router: APIRouter, components: Components) -> None:
    @router.post("/labels", response_model=LabelResponse, responses=_errors(400, 404, 422, 503))
    def label(request: Request, given: LabelRequest) -> LabelResponse:
        """Store the classes that a person gives to an item; only if the service is writable."""
        _check_writable(components, request)
        return components.service.labels.give(given)

    @router.get("/labels/next", response_model=NextLabelsResponse, responses=_errors(422, 503))
    def label_next(
        request: Request, count: Annotated[int, Query(ge=1, le=100)] = 20
    ) -> NextLabelsResponse:
        """Return the items whose labels would help most; only if the service is writable."""
        _check_writable(components, request)
        return components.service.labels.next(count)


def _add_state(app: FastAPI, served: Mapping[str, Components]) -> None:
    managers = [one.service.manager for one in served.values()]

    @app.get("/health", response_model=StatusResponse)
    def health() -> StatusResponse:
        """Return 200 while the process runs."""
        return StatusResponse(status="alive")

    @app.get("/ready", response_model=StatusResponse, responses=_errors(503))
    def ready() -> StatusResponse:
        """Return 200 while every index can be searched."""
        for manager in managers:
            with manager.lease() as index:
                len(index)
        problems = [manager.problem for manager in managers if manager.problem]
        return StatusResponse(status=problems[0] if problems else "ready")

    @app.get("/v1/indexes", response_model=list[ServedIndex], responses=_errors(503))
    def indexes() -> list[ServedIndex]:
        """List the indexes; the calls of each are under /v1/indexes/NAME, as they are under /v1."""
        return [
            ServedIndex(name=name, title=one.service.name, items=one.service.count())
            for name, one in served.items()
        ]

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    def metrics() -> Response:
        """Return the metrics of the service, for Prometheus."""
        count = sum(one.service.count() for one in served.values())
        text = next(iter(served.values())).metrics.render(count)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def _add_page(app: FastAPI, components: Components, root: str) -> None:
    def respond(request: Request, name: str) -> Response:
        if name not in components.page:
            raise RequestError(404, "unknown file of the page")
        file = components.page[name]
        return cached_response(request, file.content, file.media_type, file.etag, "public")

    @app.get(root, include_in_schema=False)
    def front(request: Request) -> Response:
        return respond(request, "index.html")

    @app.get(root + "page/{name:path}", include_in_schema=False)
    def file(request: Request, name: str) -> Response:
        return respond(request, name)


async def _search(
    components: Components, query: SearchRequest, upload: UploadFile | None, start: float
) -> SearchResponse:
    pixels: NDArray[np.uint8] | None = None
    seconds = components.settings.answer_seconds
    if upload is not None:
        pixels = await components.decoder.decode(upload.read, QUERY_SIDE)
    return await components.batcher.submit(SearchJob(query, pixels, start), seconds)


async def _while_connected(request: Request, work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Return the result of some work; it is cancelled when the client closes the connection."""
    task = asyncio.create_task(work)
    closed = asyncio.create_task(_wait_for_disconnect(request))
    try:
        await asyncio.wait((task, closed), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientDisconnect
    finally:
        closed.cancel()
        task.cancel()


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _check_writable(components: Components, request: Request) -> None:
    if not components.settings.writable:
        raise RequestError(
            403, "the service is read-only", code="read_only", advice="start it with --writable"
        )
    if not request.scope[CALLER].may_write:
        raise RequestError(
            403,
            "this API key may only read",
            code="read_only",
            advice="create one with: commonspace key FILE NAME --write",
        )


def _decode_id(quoted: str) -> str:
    """Return the id in a path, which is still percent-encoded."""
    try:
        id = unquote(quoted, errors="strict")
    except UnicodeDecodeError as exc:
        raise RequestError(
            400, "the id is not UTF-8", found=ascii(quoted)[:80], advice="percent-encode UTF-8"
        ) from exc
    if not id or len(id) > 1000:
        raise unknown_item(id)
    return id


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: RESPONSES[status] for status in (*statuses, *_ALWAYS)}
