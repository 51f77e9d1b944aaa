"""Fixtures of the service tests: a small index, a test client, and a listening server."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

import commonspace as cs
from commonspace import CommonSpace, Dataset
from commonspace.serve import ServiceSettings, build_app
from commonspace.serve.server import listen, make_server

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
