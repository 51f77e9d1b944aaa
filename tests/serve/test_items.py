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
def test_the_picture_is_the_one_that_was_put_in(client: TestClient, shop: Dataset, id: str) -> None:
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
def test_what_is_not_there_is_said_as_json(client: TestClient, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["problem"]


def test_a_service_that_is_not_writable_changes_nothing(client: TestClient) -> None:
    assert client.post("/items", json={"id": "new", "text": ["a wall"]}).status_code == 403
    answer = client.delete(address("a/b"))
    assert answer.status_code == 403
    assert "--writable" in answer.json()["error"]["advice"]
    assert client.get(address("a/b")).status_code == 200


def test_what_is_put_in_is_found_and_what_is_taken_out_is_not(
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
