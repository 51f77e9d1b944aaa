"""The ASGI application of the service, assembled from its components."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI

from commonspace.errors import SettingError
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
from commonspace.serve.snapshots import Snapshots
from commonspace.serve.static import load_page

__all__ = ["build_app"]


def build_app(
    index: str | Path,
    settings: ServiceSettings | None = None,
    *,
    more: Sequence[str | Path] = (),
    device: str = "cpu",
    compute_map: bool = False,
) -> FastAPI:
    """Return the ASGI application that serves an index, or several.

    Args:
        index: folder of the index; it is opened here, with its space.
        settings: limits and access (default: those of ``ServiceSettings``).
        more: folders of further indexes, under the names of their folders.
        device: where the spaces compute.
        compute_map: whether a missing map is computed in the background.

    Raises:
        StoreError: There is no index, or it cannot be used.
        SettingError: Two folders have the same name.
        MissingExtraError: FastAPI is not installed.
    """
    settings = settings or ServiceSettings()
    folders = _by_name([Path(one) for one in (index, *more)])
    metrics, thumbnails, page = Metrics(), Thumbnails(), load_page()
    decoder = DecodePool(
        workers=settings.decode_workers,
        max_photos=settings.max_photos,
        max_pixels=settings.max_pixels,
        seconds=settings.decode_seconds,
        memory=settings.decode_memory,
    )
    served: dict[str, Components] = {}
    maps: list[MapFile] = []
    for name, folder in folders.items():
        own = settings if not served else replace(settings, name=None, feedback=None)
        if settings.snapshots is not None and more:
            own = replace(own, snapshots=settings.snapshots / name)
        manager = IndexManager(folder, device)
        feedback = None if own.feedback is None else FeedbackFile(own.feedback)
        service = Service(manager, own.name, writable=own.writable, feedback=feedback)
        batcher: Batcher[SearchJob, SearchResponse] = Batcher(
            partial(answer_searches, manager),
            batch_size=settings.batch_size,
            max_queued=settings.max_queued,
            on_batch=metrics.batches.observe,
        )
        maps.append(MapFile(manager))
        snapshots = Snapshots(manager, own.snapshots)
        served[name] = Components(
            service, batcher, decoder, thumbnails, metrics, maps[-1].read, snapshots, page, own
        )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        for one in served.values():
            one.batcher.start()
        decoder.start()
        if compute_map:
            for map_file in maps:
                map_file.start()
        yield
        decoder.close()
        for one, map_file in zip(served.values(), maps, strict=True):
            await one.batcher.stop()
            map_file.stop()
            one.service.manager.close()

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
    add_routes(app, served)
    app.add_middleware(RequestMiddleware, settings=settings, metrics=metrics)
    return app


def _by_name(folders: Sequence[Path]) -> dict[str, Path]:
    """Return name -> folder: the name of the folder, with - for other characters than A-Z, 0-9."""
    named: dict[str, Path] = {}
    for folder in folders:
        name = re.sub(r"[^\w.\-]", "-", folder.resolve().name, flags=re.ASCII) or "index"
        if name in named:
            raise SettingError(
                "two indexes have the same name",
                expected="folders of different names",
                found=f"{named[name]} and {folder}",
                advice="rename one of the folders, or make a link to it with another name",
            )
        named[name] = folder
    return named
