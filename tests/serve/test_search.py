"""Search over HTTP: the results of the index, and errors for invalid queries."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

import commonspace as cs
from commonspace import Dataset, Images
from commonspace.client import Client
from commonspace.errors import ServiceError
from commonspace.serve import ServiceSettings, build_app


def found(answer: Any) -> list[tuple[str, str]]:  # noqa: ANN401 - of two kinds
    return [(one["id"], one["modality"]) for one in answer.json()["results"]]


def test_text_finds_what_the_index_finds(client: TestClient, index: Path) -> None:
    with cs.Index.open(index) as opened:
        wanted = opened.search(text="a red wall", k=7, where="price > 4")
    query = {"text": "a red wall", "k": 7, "where": "price > 4"}
    for answer in (
        client.post("/search", json=query),
        client.post("/search", files={name: (None, str(one)) for name, one in query.items()}),
    ):
        said = answer.json()
        assert found(answer) == [(one.id, one.modality) for one in wanted]
        for one, right in zip(said["results"], wanted, strict=True):
            assert one["score"] == pytest.approx(right.score, abs=1e-6)
            assert one["relevance"] == pytest.approx(right.relevance)
            assert one["fields"] == dict(right.fields)
            assert (one["labels"], one["texts"]) == (list(right.labels), list(right.texts))
            assert one["has_picture"] is True
        assert (said["has_instance_block"], said["calibrated"]) == (False, True)


def test_a_photo_finds_what_its_pixels_find(
    client: TestClient, index: Path, shop: Dataset, png: Callable[..., bytes]
) -> None:
    column = shop.columns["image"]
    assert isinstance(column, Images)
    with cs.Index.open(index) as opened:
        alone = opened.search(image=column.items[9], k=5)
        both = opened.search(image=column.items[9], text="a blue door", k=5)
    files = {"image": ("photo.png", png(np.asarray(column.items[9])))}
    answer = client.post("/search", files=files, data={"k": "5"})
    assert found(answer) == [(one.id, one.modality) for one in alone]
    answer = client.post("/search", files=files, data={"k": "5", "text": "a blue door"})
    assert found(answer) == [(one.id, one.modality) for one in both]


def test_pages_are_slices_of_one_ranking(client: TestClient) -> None:
    whole = found(client.post("/search", json={"text": "a door", "k": 20}))
    pages = [
        found(client.post("/search", json={"text": "a door", "k": 5, "offset": start}))
        for start in (0, 5, 10, 15)
    ]
    assert [one for page in pages for one in page] == whole
    assert len(whole) == 20


def test_total_counts_the_items_that_match_filter_and_modality(
    client: TestClient, shop: Dataset
) -> None:
    def total(**options: object) -> int:
        said = client.post("/search", json={"text": "a door", "k": 2, **options}).json()
        return int(said["total"])

    assert total() == len(shop)
    assert total(modality="image") == len(shop)
    assert total(where="price < 10") == 10
    assert total(where="price < 10 and brand = 'Acme'", modality="text") == 5


@pytest.mark.parametrize("modality", [None, "image", "text"])
def test_more_like_this_searches_by_the_vectors_of_the_item(
    client: TestClient, index: Path, shop: Dataset, modality: str | None
) -> None:
    with cs.Index.open(index) as opened:
        parts = [
            opened.space.embed(name, column.take(np.array([8])))[0]
            for name, column in shop.columns.items()
            if modality in (None, name)
        ]
        units = [part / np.linalg.norm(part) for part in parts]
        mean = np.mean(units, axis=0) if len(parts) > 1 else parts[0]
        every = opened.search(vector=mean, k=40)
    wanted = [one.score for one in every if one.id != shop.ids[8]]  # some scores are equal
    query = {"id": shop.ids[8], "k": 6}
    if modality is not None:
        query["query_modality"] = modality
    answer = client.post("/search", json=query)
    rest = client.post("/search", json={**query, "offset": 6})
    shown = [*answer.json()["results"], *rest.json()["results"]]
    assert [one["score"] for one in shown] == pytest.approx(wanted[:12])
    scores = {one.id: one.score for one in every}
    assert all(one["score"] == pytest.approx(scores[one["id"]]) for one in shown)
    assert shop.ids[8] not in [one["id"] for one in shown]


def test_results_below_min_relevance_are_left_out(client: TestClient) -> None:
    every = client.post("/search", json={"text": "a red wall", "k": 36}).json()["results"]
    middle = sorted(one["relevance"] for one in every)[18]
    some = client.post(
        "/search", json={"text": "a red wall", "k": 36, "min_relevance": middle}
    ).json()["results"]
    assert some == [one for one in every if one["relevance"] >= middle]
    assert 0 < len(some) < len(every)


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ({}, 400, "the query is empty"),
        ({"text": "wall", "where": "price <"}, 400, "a condition is invalid"),
        ({"text": "wall", "where": "prize < 5"}, 400, "no item has the field 'prize'"),
        ({"text": "wall", "where": "price < 5 and " * 10_000 + "price < 5"}, 422, "where"),
        ({"text": "wall", "where": " or ".join(["id = ''"] * 1500)}, 400, "condition"),
        ({"text": "wall", "modality": "sound"}, 400, "has no modality 'sound'"),
        ({"text": "wall", "instance_weight": 0.5}, 400, "instance_weight"),
        ({"text": "x", "instance_weight": 1.5}, 422, "instance_weight"),
        ({"text": "x", "k": 0}, 422, "k"),
        ({"text": "x", "k": 10**9}, 422, "k"),
        ({"text": "x", "colour": "red"}, 422, "colour"),
        ({"text": "   "}, 400, "the text of a query cannot be used"),
        ({"text": "x" * 20_000}, 422, "text"),
        ({"id": "nobody"}, 404, "unknown item"),
        ({"id": "a/b", "query_modality": "sound"}, 400, "has no modality 'sound'"),
    ],
)
def test_invalid_queries_are_refused_with_a_reason(
    client: TestClient, query: dict[str, Any], status: int, said: str
) -> None:
    answer = client.post("/search", json=query)
    error = answer.json()["error"]
    assert (answer.status_code, said in error["problem"]) == (status, True), error
    assert len(answer.content) < 2000


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 422),
        (b'{"text": "\xff\xfe"}', "application/json", 422),
        (b'{"text": "\\ud800"}', "application/json", 422),
        (b'{"text": "a", "min_relevance": NaN}', "application/json", 422),
        (b"[" * 100_000, "application/json", 422),
        (b"text=a", "application/x-www-form-urlencoded", 415),
        (b"anything", "", 415),
        (b"no boundary here", "multipart/form-data", 400),
        (b"--b\r\nbroken", "multipart/form-data; boundary=b", 400),
        (
            b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\n\xff\xfe\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
            400,
        ),
        (
            b'--b\r\nContent-Disposition: form-data; name="k"\r\n\r\n1\r\n' * 2 + b"--b--\r\n",
            "multipart/form-data; boundary=b",
            422,
        ),
        (
            b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\nx\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
            422,
        ),
    ],
)
def test_malformed_bodies_are_refused_and_the_next_request_is_answered(
    client: TestClient, body: bytes, kind: str, status: int
) -> None:
    answer = client.post("/search", content=body, headers={"content-type": kind})
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["problem"]
    assert client.post("/search", json={"text": "a red wall"}).status_code == 200


def test_about_describes_the_index(client: TestClient, shop: Dataset) -> None:
    said = client.get("/about").json()
    assert (said["name"], said["items"]) == ("shop", len(shop))
    assert said["modalities"] == ["image", "text"]
    assert said["classes"] == sorted(shop.class_names)
    assert said["fields"]["price"] | {"values": None} == {
        "kind": "number",
        "values": None,
        "distinct": len(shop),
        "min": 0.0,
        "max": float(len(shop) - 1),
    }
    assert said["fields"]["brand"]["values"] == ["Acme"]
    assert said["fields"]["brand"]["kind"] == "string"
    assert said["writable"] is False


def test_an_embedded_photo_finds_what_the_photo_finds(
    client: TestClient, shop: Dataset, png: Callable[..., bytes]
) -> None:
    column = shop.columns["image"]
    assert isinstance(column, Images)
    files = {"image": ("photo.png", png(np.asarray(column.items[9])))}
    direct = client.post("/v1/search", files=files, data={"k": "5"}).json()
    embedded = client.post("/v1/embed", files=files).json()
    assert embedded["fingerprint"] == client.get("/v1/about").json()["fingerprint"]
    query = {"vector": embedded["vector"], "k": 5}
    assert client.post("/v1/search", json=query).json()["results"] == direct["results"]
    form = {"vector": (None, str(embedded["vector"])), "k": (None, "5")}
    assert client.post("/v1/search", files=form).json()["results"] == direct["results"]
    text = client.post("/v1/embed", json={"text": "a red wall"}).json()["vector"]
    by_vector = client.post("/v1/search", json={"vector": text, "k": 5}).json()["results"]
    words = {"text": "a red wall", "k": 5, "keywords": False}
    assert by_vector == client.post("/v1/search", json=words).json()["results"]
    assert client.post("/v1/embed", json={}).status_code == 400
    assert client.post("/v1/search", json={"vector": [1.0, 2.0]}).status_code == 400


@pytest.mark.parametrize("where", [None, "price < 10", 'label = "red" or brand = "Acme"'])
def test_facets_count_the_items_of_each_value(
    client: TestClient, index: Path, where: str | None
) -> None:
    facets = client.post("/v1/facets", json={"where": where}).json()["fields"]
    assert set(facets) <= {"label", "price", "brand"}
    with cs.Index.open(index) as opened:
        for field, values in facets.items():
            assert [one["count"] for one in values] == sorted(
                (one["count"] for one in values), reverse=True
            )
            for one in values:
                literal = f'"{one["value"]}"' if isinstance(one["value"], str) else one["value"]
                condition = f"{field} = {literal}" + (f" and ({where})" if where else "")
                assert opened.count(condition) == one["count"]
    refused = client.post("/v1/facets", json={"where": "prize < 5"})
    assert refused.status_code == 400


def test_results_can_be_sorted_by_a_field(client: TestClient) -> None:
    query = {"text": "a red wall", "k": 36, "min_relevance": 0.0}
    best = client.post("/v1/search", json=query).json()["results"]
    for sort, reverse in (("price", False), ("-price", True)):
        response = client.post("/v1/search", json={**query, "sort": sort}).json()
        prices = [one["fields"]["price"] for one in response["results"]]
        assert prices == sorted((one["fields"]["price"] for one in best), reverse=reverse)
        page = client.post("/v1/search", json={**query, "sort": sort, "k": 5, "offset": 5}).json()
        assert page["results"] == response["results"][5:10]
        assert page["total"] == 36
    brands = client.post("/v1/search", json={**query, "sort": "brand"}).json()["results"]
    assert ["brand" in one["fields"] for one in brands] == [True] * 18 + [False] * 18
    relevant = client.post("/v1/search", json={"text": "a red wall", "k": 36, "sort": "price"})
    assert all(one["relevance"] >= 0.5 for one in relevant.json()["results"])


def test_the_client_sends_what_to_be_unlike_groups_and_order(
    index: Path, listening: Callable[..., Any]
) -> None:
    """Over HTTP, as JSON and as a form, the results are those of the index."""
    app = build_app(index, ServiceSettings(rate=0.0, decode_workers=1))
    with listening(app) as address, cs.Index.open(index) as opened:
        shop = Client(address)
        photo = opened.picture(opened.scroll().items[0].id)
        assert isinstance(photo, np.ndarray)
        file = BytesIO()
        Image.fromarray(photo).save(file, "PNG")
        unlike = shop.embed(image=file.getvalue())
        options: dict[str, Any] = {"less_like": "two words", "less_like_vector": unlike, "k": 100}
        found = shop.search(id="a/b", group_by="brand", **options)
        expected = opened.search(id="a/b", group_by="brand", **options)
        assert [(one.id, one.similar) for one in found] == [
            (one.id, one.similar) for one in expected
        ]
        assert found.total == expected.total
        by_form = shop.search(id="a/b", image=file.getvalue(), sort="-price", **options)
        prices = [one.fields["price"] for one in by_form]
        assert prices == sorted(prices, reverse=True)
        assert "two words" not in {one.id for one in by_form}
        assert shop.facets("price < 10")["brand"] == {"Acme": 5}
        with pytest.raises(ServiceError) as error:
            shop.search("kite", less_like=["none"])
        assert error.value.status == 404
        with pytest.raises(ServiceError) as error:
            shop.search("kite", group_by="none")
        assert error.value.status == 400
