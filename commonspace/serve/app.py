"""The application: an index folder in, routes out. What each route does is the engine's."""

import json
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI

from commonspace.errors import CommonspaceError
from commonspace.serve.atlas import MAP, make_map, read_map
from commonspace.serve.batching import Batcher
from commonspace.serve.engine import Asked, Engine
from commonspace.serve.guard import Guard
from commonspace.serve.holder import Holder
from commonspace.serve.messages import SearchAnswer
from commonspace.serve.metrics import Metrics
from commonspace.serve.page_files import page_files
from commonspace.serve.pictures import Decoder, Thumbnails
from commonspace.serve.refusals import LOG, RefusedError, install
from commonspace.serve.routes import Parts, add_routes
from commonspace.serve.settings import ServiceSettings

__all__ = ["Atlas", "build_app"]


def build_app(
    index: str | Path,
    settings: ServiceSettings | None = None,
    *,
    device: str = "cpu",
    make_a_map: bool = False,
) -> FastAPI:
    """Return an ASGI application that serves an index.

    Args:
        index: the folder of an index; it is opened here, with its space.
        settings: limits and abilities; None takes the defaults.
        device: where the space computes.
        make_a_map: whether the map is made in the background where there is none.

    Raises:
        StoreError: there is no index, or it cannot be used.
        MissingExtraError: FastAPI or its company is not installed.
    """
    chosen = settings or ServiceSettings()
    holder = Holder(Path(index), device)
    engine = Engine(holder, chosen.name, writable=chosen.writable)
    metrics = Metrics()
    batcher: Batcher[Asked, SearchAnswer] = Batcher(
        engine.search,
        most=chosen.batch,
        waiting=chosen.waiting,
        observe=metrics.batched,
    )
    decoder = Decoder(chosen.pixels, chosen.decoding)
    atlas = Atlas(holder)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        batcher.start()
        if make_a_map:
            atlas.begin()
        yield
        await batcher.stop()
        decoder.close()
        atlas.wait()
        holder.close()

    app = FastAPI(
        title="Commonspace",
        version=version("commonspace"),
        description="Search in an index with words, a photo, or an item.",
        lifespan=lifespan,
        docs_url=None,  # it would load scripts of another host
        redoc_url=None,
        redirect_slashes=False,
    )
    install(app)
    parts = Parts(engine, batcher, decoder, Thumbnails(), metrics, atlas.text, page_files(), chosen)
    add_routes(app, parts)
    app.add_middleware(Guard, settings=chosen, metrics=metrics)
    return app


class Atlas:
    """The map as the service gives it: read when it is new, made in the background if wanted.

    Args:
        holder: of the index.
    """

    def __init__(self, holder: Holder) -> None:
        """Know no map yet."""
        self._holder = holder
        self._thread: threading.Thread | None = None
        self._known: tuple[object, ...] = ()
        self._text = b""
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Make a map in a thread of its own, where there is none."""
        if read_map(self._holder.path) is None:
            self._thread = threading.Thread(target=self._make, name="map", daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Give a map that is being made a moment to end: a started t-SNE cannot be stopped."""
        if self._thread is not None:
            self._thread.join(1.0)

    def text(self) -> bytes:
        """Return the map as JSON.

        Raises:
            RefusedError: there is none; 503 while it is being made.
        """
        with self._holder.lease() as index:
            generation = index.generation
        with self._lock:
            try:
                facts = (self._holder.path / MAP).stat()
            except OSError:
                raise self._none() from None
            key = (facts.st_ino, facts.st_mtime_ns, generation)
            if key != self._known:
                found = read_map(self._holder.path)
                if found is None:
                    raise self._none()
                found["current"] = found["generation"] == generation
                self._text = json.dumps(found, ensure_ascii=False).encode()
                self._known = key
            return self._text

    def _make(self) -> None:
        began = time.perf_counter()
        try:
            with self._holder.lease() as index:
                count = make_map(index)
        except CommonspaceError as exc:
            LOG.error("the map cannot be made: %s", exc)
            return
        LOG.info("the map is made: %d points, %.0f s", count, time.perf_counter() - began)

    def _none(self) -> RefusedError:
        if self._thread is not None and self._thread.is_alive():
            return RefusedError(503, "the map is being made", advice="ask again later", retry=10)
        return RefusedError(404, "the index has no map", advice="make one: commonspace map INDEX")
