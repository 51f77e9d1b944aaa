"""Items, their pictures, and changes: whatever their ids look like."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from io import BytesIO
from pathlib import Path
from shutil import copytree
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from commonspace import Dataset, Images

Serve = Callable[..., AbstractContextManager[TestClient]]

ODD = ("a/b", "two words", "50% off?", "ünïcode#1", "x/image")


def address(id: str) -> str:
    return f"/items/{quote(id, safe='')}"


@pytest.mark.parametrize("id", ODD)
def test_an_item_is_found_by_any_id(client: TestClient, shop: Dataset, id: str) -> None:
    row = shop.ids.index(id)
    said = client.get(address(id)).json()
    assert said["id"] == id
    assert said["labels"] == [shop.class_names[int(np.argmax(shop.labels[row]))]]
    assert said["texts"] == list(shop.columns["text"].items[row])  # type: ignore[attr-defined]
    assert said["modalities"] == ["image", "text"]
    assert said["fields"]["price"] == row
    assert said["posterior"] is None
    assert len(said["neighbors"]) == 12
    assert id not in [one["id"] for one in said["neighbors"]]


def test_an_id_with_a_slash_may_be_written_as_it_is(client: TestClient) -> None:
    assert client.get("/items/a/b").json()["id"] == "a/b"


@pytest.mark.parametrize("id", ODD)
def test_the_picture_is_the_one_that_was_indexed(
    client: TestClient, shop: Dataset, id: str
) -> None:
    column = shop.columns["image"]
    assert isinstance(column, Images)
    answer = client.get(address(id) + "/image")
    assert answer.headers["content-type"] == "image/png"
    with Image.open(BytesIO(answer.content)) as image:
        np.testing.assert_array_equal(np.asarray(image), column.items[shop.ids.index(id)])
    tag = {"if-none-match": answer.headers["etag"]}
    assert client.get(address(id) + "/image", headers=tag).status_code == 304


@pytest.mark.parametrize("size", [16, 40, 256])
def test_a_thumbnail_fits_into_its_square(client: TestClient, size: int) -> None:
    answer = client.get(address("a/b") + f"/thumbnail?size={size}")
    with Image.open(BytesIO(answer.content)) as image:
        assert max(image.size) == min(size, 64)  # it is not made larger than it is
        assert image.format == "JPEG"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/items/nobody", 404),
        ("/items/", 404),
        ("/items/nobody/image", 404),
        ("/items/nobody/thumbnail", 404),
        ("/items/%ff", 400),
        ("/items/" + "x" * 2000, 404),
        ("/items/a%2Fb/thumbnail?size=5", 422),
        ("/items/a%2Fb/thumbnail?size=many", 422),
        ("/items/%2e%2e%2f%2e%2e%2fetc%2fpasswd/image", 404),
        ("/page/../app.py", 404),
        ("/page/%2e%2e/app.py", 404),
        ("/nowhere", 404),
    ],
)
def test_unknown_paths_are_answered_as_json(client: TestClient, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["problem"]


def test_a_read_only_service_changes_nothing(client: TestClient) -> None:
    assert client.post("/items", json={"id": "new", "text": ["a wall"]}).status_code == 403
    answer = client.delete(address("a/b"))
    assert answer.status_code == 403
    assert "--writable" in answer.json()["error"]["advice"]
    assert client.get(address("a/b")).status_code == 200


def test_written_items_are_found_and_removed_ones_are_not(
    index: Path,
    serve: Serve,
    tmp_path: Path,
    png: Callable[..., bytes],
) -> None:
    copytree(index, tmp_path / "copy")
    picture = np.full((3300, 10, 3), 77, dtype=np.uint8)
    with serve(tmp_path / "copy", writable=True) as client:
        count = client.get("/about").json()["items"]
        said = {"id": "new/1", "text": ["a purple wall", "some wall"], "labels": ["purple"]}
        answer = client.post("/items", json={**said, "fields": {"price": 3.5, "sale": True}})
        assert (answer.status_code, answer.json()["change"]) == (201, "added")
        assert answer.json()["items"] == count + 1
        item = client.get(address("new/1")).json()
        assert (item["texts"], item["labels"]) == (said["text"], ["purple"])
        assert item["fields"] == {"price": 3.5, "sale": True}
        assert item["modalities"] == ["text"]
        assert client.get("/about").json()["items"] == count + 1  # not what was known before
        form = {"id": "new/1", "text": ["a purple wall"], "fields": '{"price": 4}'}
        answer = client.post("/items", data=form, files={"image": ("x.png", png(picture))})
        assert (answer.status_code, answer.json()["change"]) == (200, "replaced")
        with Image.open(BytesIO(client.get(address("new/1") + "/image").content)) as image:
            assert image.size == (5, 1600)  # scaled down
        found = client.post("/search", json={"text": "a purple wall", "where": "price = 4"})
        assert "new/1" in [one["id"] for one in found.json()["results"]]
        assert client.delete(address("new/1")).json()["change"] == "removed"
        assert client.get(address("new/1")).status_code == 404
        assert client.delete(address("new/1")).status_code == 404
        for wrong in (
            {"id": "empty"},
            {"id": "nul\0", "text": ["a wall"]},
            {"id": "field", "text": ["a wall"], "fields": {"id": "taken"}},
        ):
            assert client.post("/items", json=wrong).status_code == 400
        assert client.post("/items", json={"id": "", "text": ["a"]}).status_code == 422
        assert client.get("/about").json()["items"] == count


def test_a_batch_is_written_whole_or_not_at_all(index: Path, serve: Serve, tmp_path: Path) -> None:
    copytree(index, tmp_path / "copy")
    with serve(tmp_path / "copy", writable=True) as client:
        count = client.get("/v1/about").json()["items"]
        items = [{"id": f"new {row}", "text": [f"a wall {row}"]} for row in range(50)]
        response = client.post("/v1/items/batch", json={"items": items})
        assert response.status_code == 200, response.text
        written = {"added": 50, "replaced": 0, "described": 0, "unchanged": 0}
        assert response.json() == {**written, "items": count + 50}
        items[3]["text"] = ["another wall"]
        response = client.post("/v1/items/batch", json={"items": items})
        written = {"added": 0, "replaced": 1, "described": 0, "unchanged": 49}
        assert response.json() == {**written, "items": count + 50}
        for wrong, status in (
            ([{"id": "x", "text": ["a"]}, {"id": "x", "text": ["b"]}], 400),
            ([{"id": "x", "text": ["a"]}, {"id": "empty"}], 400),
            ([{"id": "x", "text": ["a"]}, {"id": ""}], 422),
            ([], 422),
            ([{"id": str(row), "text": ["a"]} for row in range(1001)], 422),
        ):
            response = client.post("/v1/items/batch", json={"items": wrong})
            assert response.status_code == status, response.text
        assert client.get("/v1/about").json()["items"] == count + 50
        assert client.get("/v1/items/x").status_code == 404


@pytest.mark.parametrize("path", ["/v1/items", "/v1/items/batch"])
def test_a_field_of_another_type_is_refused_with_the_id(
    index: Path, serve: Serve, tmp_path: Path, path: str
) -> None:
    copytree(index, tmp_path / "copy")
    with serve(tmp_path / "copy", writable=True) as client:
        item = {"id": "bad one", "text": ["a wall"], "fields": {"price": "cheap"}}
        response = client.post(path, json={"items": [item]} if "batch" in path else item)
        assert response.status_code == 400
        assert "bad one" in str(response.json())
        assert "price" in str(response.json())
        assert client.get("/v1/about").json()["fields"]["price"]["kind"] == "number"
