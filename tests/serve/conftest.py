"""Fixtures of the service tests: a small index, a test client, and a listening server."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

import commonspace as cs
from commonspace import CommonSpace, Dataset
from commonspace.serve import ServiceSettings, build_app
from commonspace.serve.projection import make_map
from commonspace.serve.server import listen, make_server
from tests.serve.browser import FLAGS, PATIENCE, Service, Visit, few_scenes, serving, until
from tests.serve.browser import instance_space as trained_space

Serve = Callable[..., AbstractContextManager[TestClient]]
Listen = Callable[[FastAPI], AbstractContextManager[str]]

ODD = ("a/b", "two words", "50% off?", "ünïcode#1", "..", "x/image")


@pytest.fixture(scope="session")
def shop(raw_dataset: Dataset) -> Dataset:
    """Pictures and texts with prices; some ids are not fit for an address as they are."""
    ids = (*ODD, *raw_dataset.ids[len(ODD) :])
    prices = [float(place) for place in range(len(ids))]
    brands = ["Acme" if place % 2 else None for place in range(len(ids))]
    return Dataset(
        name="shop",
        ids=ids,
        columns=raw_dataset.columns,
        labels=raw_dataset.labels,
        class_names=raw_dataset.class_names,
        splits=raw_dataset.splits,
        fields={"price": prices, "brand": brands},
    )


@pytest.fixture(scope="session")
def shop_space(shop: Dataset) -> CommonSpace:
    """A space of raw pictures and words, trained for a moment."""
    method = cs.DSCMR(preset="official", epochs=1, hidden_dim=16, embedding_dim=8, device="cpu")
    return method.fit(shop.split("train"), shop.split("validation"), cs.RunConfig())


@pytest.fixture(scope="session")
def index(shop: Dataset, shop_space: CommonSpace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an index; no test changes it."""
    folder = tmp_path_factory.mktemp("serve") / "shop"
    cs.Index.create(folder, shop_space, shop).close()
    return folder


@pytest.fixture(scope="session")
def serve() -> Serve:
    """Serve an index inside this process, for the block."""

    @contextmanager
    def serving(folder: Path, **settings: object) -> Iterator[TestClient]:
        chosen = ServiceSettings(**{"rate": 0.0, "decode_workers": 1, **settings})  # type: ignore[arg-type]
        app = build_app(folder, chosen)
        with TestClient(
            app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False
        ) as client:
            yield client

    return serving


@pytest.fixture(scope="session")
def client(index: Path, serve: Serve) -> Iterator[TestClient]:
    """A service with the default settings, without a limit of rate."""
    with serve(index) as client:
        yield client


@pytest.fixture(scope="session")
def listening() -> Listen:
    """Let an application listen on a free port of 127.0.0.1, for the block."""

    @contextmanager
    def served(app: FastAPI) -> Iterator[str]:
        ready, address = threading.Event(), []

        def tell(host: str, port: int) -> None:
            address.append(f"http://{host}:{port}")
            ready.set()

        with listen("127.0.0.1", 0) as taken:
            server = make_server(app, started=tell, stop_seconds=8)
            thread = threading.Thread(target=server.run, args=([taken],), daemon=True)
            thread.start()
            assert ready.wait(20)
            try:
                yield address[0]
            finally:
                server.should_exit = True
                thread.join(20)
        assert not thread.is_alive()

    return served


@pytest.fixture
def png() -> Callable[[NDArray[np.uint8]], bytes]:
    """Write a PNG."""

    def written(pixels: NDArray[np.uint8]) -> bytes:
        file = BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        return file.getvalue()

    return written


@pytest.fixture(scope="session")
def scenes_index(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, cs.Dataset]:
    """The folder of an index of a few drawn scenes with a map, and its data."""
    place, data = tmp_path_factory.mktemp("page") / "index", few_scenes()
    with cs.Index.create(place, trained_space(data), data) as index:
        make_map(index)
    return place, data


@pytest.fixture(scope="session")
def service(scenes_index: tuple[Path, cs.Dataset]) -> Iterator[Service]:
    """A listening service that no test changes."""
    with serving(*scenes_index) as running:
        yield running


@pytest.fixture(scope="module")  # its event loop runs until the end: other modules have their own
def browser() -> Iterator[Any]:
    """Chromium; tests are skipped where it or playwright is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=chromium, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser: Any, service: Service) -> Iterator[Visit]:  # noqa: ANN401 - playwright's
    """Return what opens the page; at the end nothing must have gone wrong or off the machine."""
    with visits(browser, service) as opened:
        yield opened


@contextmanager
def visits(browser: Any, service: Service) -> Iterator[Visit]:  # noqa: ANN401 - playwright's
    """Yield what opens the page of a service, in contexts that are closed at the end."""
    contexts, wrong = [], []

    def opened(query: str = "", *, allow: str = "nothing", **context: Any) -> Any:  # noqa: ANN401
        one = browser.new_context(**{"locale": "en-GB", **context})
        contexts.append(one)
        page = one.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        page.on(
            "console",
            lambda said: (
                wrong.append(said.text)
                if said.type in ("error", "warning") and allow not in said.text
                else None
            ),
        )
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request",
            lambda asked: (
                None
                if asked.url.startswith((service.address, "blob:"))
                else wrong.append(f"off the machine: {asked.url}")
            ),
        )
        page.goto(f"{service.address}/{query}")
        until(lambda: page.title().startswith("scenes"))
        return page

    yield opened
    for one in contexts:
        one.close()
    assert wrong == []
