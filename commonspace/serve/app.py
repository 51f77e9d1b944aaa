"""The ASGI application of the service, assembled from its components."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI

from commonspace.serve.decoding import DecodePool
from commonspace.serve.errors import add_error_handlers
from commonspace.serve.feedback import FeedbackFile
from commonspace.serve.images import Thumbnails
from commonspace.serve.index_manager import IndexManager
from commonspace.serve.metrics import Metrics
from commonspace.serve.middleware import RequestMiddleware
from commonspace.serve.projection import MapFile
from commonspace.serve.routes import Components, add_routes
from commonspace.serve.schemas import SearchResponse
from commonspace.serve.search import Batcher, SearchJob, answer_searches
from commonspace.serve.service import Service
from commonspace.serve.settings import ServiceSettings
from commonspace.serve.static import load_page

__all__ = ["build_app"]


def build_app(
    index: str | Path,
    settings: ServiceSettings | None = None,
    *,
    device: str = "cpu",
    compute_map: bool = False,
) -> FastAPI:
    """Return the ASGI application that serves an index.

    Args:
        index: folder of the index; it is opened here, with its space.
        settings: limits and access (default: those of ``ServiceSettings``).
        device: where the space computes.
        compute_map: whether a missing map is computed in the background.

    Raises:
        StoreError: There is no index, or it cannot be used.
        MissingExtraError: FastAPI is not installed.
    """
    settings = settings or ServiceSettings()
    manager = IndexManager(Path(index), device)
    feedback = None if settings.feedback is None else FeedbackFile(settings.feedback)
    service = Service(manager, settings.name, writable=settings.writable, feedback=feedback)
    metrics = Metrics()
    batcher: Batcher[SearchJob, SearchResponse] = Batcher(
        partial(answer_searches, manager),
        batch_size=settings.batch_size,
        max_queued=settings.max_queued,
        on_batch=metrics.batches.observe,
    )
    decoder = DecodePool(
        workers=settings.decode_workers,
        max_photos=settings.max_photos,
        max_pixels=settings.max_pixels,
        seconds=settings.decode_seconds,
        memory=settings.decode_memory,
    )
    map_file = MapFile(manager)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        batcher.start()
        decoder.start()
        if compute_map:
            map_file.start()
        yield
        decoder.close()
        await batcher.stop()
        map_file.wait()
        manager.close()

    app = FastAPI(
        title="Commonspace",
        version=version("commonspace"),
        description="Search an index by text, image, vector or item.",
        lifespan=lifespan,
        docs_url=None,  # it would load scripts from another host
        redoc_url=None,
        redirect_slashes=False,
    )
    add_error_handlers(app)
    components = Components(
        service, batcher, decoder, Thumbnails(), metrics, map_file.read, load_page(), settings
    )
    add_routes(app, components)
    app.add_middleware(RequestMiddleware, settings=settings, metrics=metrics)
    return app
