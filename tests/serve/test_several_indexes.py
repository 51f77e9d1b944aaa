"""Several indexes in one process, and their snapshots over HTTP."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

import commonspace as cs
from commonspace import CommonSpace, Dataset
from commonspace.client import Client
from commonspace.errors import SettingError
from commonspace.serve import ServiceSettings, build_app
from commonspace.serve.access import add_key, read_keys
from tests.serve.conftest import ODD


@pytest.fixture
def two(
    tmp_path: Path, shop: Dataset, shop_space: CommonSpace, index: Path
) -> Iterator[TestClient]:
    """Serve the shop and a part of it, the second with room for changes."""
    cs.Index.create(tmp_path / "more books", shop_space, shop.take(np.arange(6))).close()
    add = [
        add_key(tmp_path / "keys", name, write=name == "writer") for name in ("reader", "writer")
    ]
    settings = ServiceSettings(
        rate=0.0,
        decode_workers=1,
        writable=True,
        keys=read_keys(tmp_path / "keys"),
        snapshots=tmp_path / "snapshots",
    )
    app = build_app(index, settings, more=[tmp_path / "more books"])
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        client.headers["Authorization"] = f"Bearer {add[1]}"
        client.reader = {"Authorization": f"Bearer {add[0]}"}  # type: ignore[attr-defined]
        yield client


def test_each_index_answers_under_its_name(two: TestClient, shop: Dataset) -> None:
    listed = two.get("/v1/indexes").json()
    assert [(one["name"], one["title"], one["items"]) for one in listed] == [
        ("shop", "shop", len(shop)),
        ("more-books", "more books", 6),
    ]
    query = {"text": shop.columns["text"].items[0][0], "k": 100}  # type: ignore[attr-defined]
    whole = two.post("/v1/search", json=query).json()
    assert whole["total"] == len(shop)
    named = two.post("/v1/indexes/shop/search", json=query).json()
    assert named["results"] == whole["results"]
    small = two.post("/v1/indexes/more-books/search", json=query).json()
    assert small["total"] == 6
    assert two.post("/indexes/more-books/v1/search", json=query).json()["total"] == 6
    for id in ODD:
        path = f"/v1/indexes/more-books/items/{id.encode().hex('%').join(['%', ''])}"
        assert two.get(path).json()["id"] == id
    assert two.get("/v1/indexes/none/about").status_code == 404


def test_the_client_reaches_each_index(
    tmp_path: Path,
    shop: Dataset,
    shop_space: CommonSpace,
    index: Path,
    listening: Callable[..., Any],
) -> None:
    cs.Index.create(tmp_path / "books", shop_space, shop.take(np.arange(6))).close()
    settings = ServiceSettings(rate=0.0, decode_workers=1)
    with listening(build_app(index, settings, more=[tmp_path / "books"])) as address:
        for name, items in (("shop", len(shop)), ("books", 6)):
            client = Client(f"{address}/indexes/{name}")
            assert client.search(id="a/b", k=1).total == items - 1
            assert client.item("50% off?").id == "50% off?"
        assert Client(f"{address}/v1").about()["items"] == len(shop)


def test_each_index_has_a_page_that_needs_no_key(two: TestClient) -> None:
    del two.headers["Authorization"]
    page = two.get("/indexes/more-books/")
    assert page.status_code == 200
    assert page.content == two.get("/").content
    assert two.get("/indexes/more-books/page/main.js").status_code == 200
    assert two.get("/indexes/more-books/v1/about").status_code == 401
    assert two.get("/v1/indexes").status_code == 401


def test_a_snapshot_is_restored_while_serving(two: TestClient) -> None:
    books = "/v1/indexes/more-books"
    made = two.post(f"{books}/snapshots")
    assert made.status_code == 201
    name = made.json()["name"]
    assert two.get(f"{books}/snapshots").json() == [made.json()]
    assert two.get("/v1/snapshots").json() == []  # those of the first index
    assert len(two.get(f"{books}/snapshots/{name}").content) == made.json()["bytes"]
    two.delete(f"{books}/items/two%20words")
    assert two.get(f"{books}/items/two%20words").status_code == 404
    restored = two.post(f"{books}/snapshots/{name}/restore")
    assert restored.json() == {"status": "restored: 6 items"}
    assert two.get(f"{books}/items/two%20words").status_code == 200
    added = two.post(f"{books}/items", json={"id": "new", "text": ["a kite"]})
    assert added.json()["items"] == 7  # written to the restored index
    assert two.delete(f"{books}/snapshots/{name}").json() == {"status": "deleted"}
    assert two.get(f"{books}/snapshots").json() == []


def test_snapshots_need_a_key_that_may_write(two: TestClient, tmp_path: Path) -> None:
    reader = two.reader  # type: ignore[attr-defined]
    name = two.post("/v1/snapshots").json()["name"]
    for method, path in (
        ("GET", "/v1/snapshots"),
        ("POST", "/v1/snapshots"),
        ("GET", f"/v1/snapshots/{name}"),
        ("POST", f"/v1/snapshots/{name}/restore"),
        ("DELETE", f"/v1/snapshots/{name}"),
    ):
        assert two.request(method, path, headers=reader).status_code == 403
    for wrong in ("none.tar", "..%2Fkeys", "%2e%2e", "keys"):
        assert two.get(f"/v1/snapshots/{wrong}").status_code == 404
    file = tmp_path / "snapshots" / "shop" / name
    file.write_bytes(b"damaged")
    assert two.post(f"/v1/snapshots/{name}/restore").status_code == 409
    assert two.get("/v1/about").status_code == 200


def test_without_a_folder_there_are_no_snapshots(index: Path) -> None:
    app = build_app(index, ServiceSettings(rate=0.0, decode_workers=1, writable=True))
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        assert client.post("/v1/snapshots").status_code == 403


def test_two_indexes_of_one_name_are_an_error(index: Path, tmp_path: Path) -> None:
    (tmp_path / "shop").symlink_to(index)
    with pytest.raises(SettingError, match="same name"):
        build_app(index, more=[tmp_path / "shop"])
