"""Types of values in requests: JSON values have the type that is declared, texts are converted."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

import commonspace as cs
from commonspace import Dataset, Images
from commonspace.client import Client
from commonspace.serve import ServiceSettings, build_app, labels, schemas

INTEGER = "Input should be a valid integer"
NUMBER = "Input should be a valid number"
BOOLEAN = "Input should be a valid boolean"
STRING = "Input should be a valid string"
VALUE = "Input should be a string, a finite number, true, false or null"


@pytest.fixture(scope="module")
def writable(
    index: Path, serve: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    """Return a service of a copy of the index, which takes every request."""
    place = tmp_path_factory.mktemp("writable")
    folder = shutil.copytree(index, place / "shop")
    with serve(folder, writable=True, feedback=place / "votes.jsonl") as client:
        yield client


def post(client: TestClient, path: str, body: object) -> tuple[int, dict[str, Any]]:
    answer = client.post(f"/v1/{path}", json=body)
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    ("path", "body", "field", "expected"),
    [
        ("search", {"text": "a", "k": True}, "k", INTEGER),
        ("search", {"text": "a", "k": "5"}, "k", INTEGER),
        ("search", {"text": "a", "k": 5.5}, "k", INTEGER),
        ("search", {"text": "a", "offset": "0"}, "offset", INTEGER),
        ("search", {"text": "a", "offset": False}, "offset", INTEGER),
        ("search", {"text": "a", "min_relevance": "0.5"}, "min_relevance", NUMBER),
        ("search", {"text": "a", "min_relevance": True}, "min_relevance", NUMBER),
        ("search", {"text": "a", "instance_weight": "1"}, "instance_weight", NUMBER),
        ("search", {"text": "a", "text_weight": True}, "text_weight", NUMBER),
        ("search", {"text": "a", "diversity": True}, "diversity", NUMBER),
        ("search", {"text": "a", "max_similarity": "1"}, "max_similarity", NUMBER),
        ("search", {"text": "a", "keywords": 1}, "keywords", BOOLEAN),
        ("search", {"text": "a", "keywords": "true"}, "keywords", BOOLEAN),
        ("search", {"text": 5}, "text", STRING),
        ("search", {"text": True}, "text", STRING),
        ("search", {"id": 5}, "id", STRING),
        ("search", {"vector": [1.0, "2"]}, "vector.1", NUMBER),
        ("search", {"vector": [True, 2.0]}, "vector.0", NUMBER),
        ("search", {"text": "a", "less_like": [7]}, "less_like.0", STRING),
        ("search", {"text": "a", "less_like_vector": ["1"]}, "less_like_vector.0", NUMBER),
        ("search", {"text": "a", "where": 1}, "where", STRING),
        ("search", {"text": "a", "without": 1}, "without", STRING),
        ("search", {"text": "a", "modality": 1}, "modality", STRING),
        ("search", {"text": "a", "group_by": 1}, "group_by", STRING),
        ("search", {"text": "a", "sort": True}, "sort", STRING),
        ("embed", {"text": 5}, "text", STRING),
        ("facets", {"where": 5}, "where", STRING),
        ("facets", {"group_by": True}, "group_by", STRING),
        ("feedback", {"id": "a/b", "useful": 1}, "useful", BOOLEAN),
        ("feedback", {"id": "a/b", "useful": "yes"}, "useful", BOOLEAN),
        ("feedback", {"id": 5, "useful": True}, "id", STRING),
        ("labels", {"id": 5, "labels": []}, "id", STRING),
        ("labels", {"id": "a/b", "labels": [5]}, "labels.0", STRING),
        ("items", {"id": 5}, "id", STRING),
        ("items", {"id": "new", "text": [True]}, "text.0", STRING),
        ("items", {"id": "new", "fields": {"price": [5]}}, "fields.price", VALUE),
        ("items/batch", {"items": [{"id": "a"}, {"id": 5}]}, "items.1.id", STRING),
        ("items/batch", {"items": [{"id": "a", "labels": [5]}]}, "items.0.labels.0", STRING),
    ],
)
def test_a_value_of_another_json_type_is_refused(
    writable: TestClient, path: str, body: dict[str, Any], field: str, expected: str
) -> None:
    status, answer = post(writable, path, body)
    assert status == 422
    assert answer["error"]["code"] == "invalid"
    assert answer["error"]["problem"] == f"invalid request: {field}"
    assert answer["error"]["expected"] == expected
    assert answer["error"]["found"] != ""


def test_numbers_without_a_fraction_are_integers_and_integers_are_numbers(
    client: TestClient,
) -> None:
    """JSON has one type of number: 5.0 is 5."""
    query: dict[str, Any] = {"text": "a red wall", "min_relevance": 0, "diversity": 1}
    status, whole = post(client, "search", {**query, "k": 5, "offset": 1})
    assert status == 200
    assert len(whole["results"]) == 5
    status, floats = post(client, "search", {**query, "k": 5.0, "offset": 1.0})
    assert status == 200
    assert floats["results"] == whole["results"]
    status, answer = post(client, "search", {**query, "k": 1e300})
    assert (status, answer["error"]["problem"]) == (422, "invalid request: k")


def test_values_of_fields_keep_their_json_type(writable: TestClient) -> None:
    fields = {"price": 12, "size": 1.5, "sold": True, "brand": "5", "gone": None}
    status, _ = post(writable, "items", {"id": "typed", "text": ["a red wall"], "fields": fields})
    assert status == 201
    stored = writable.get("/v1/items/typed").json()["fields"]
    assert stored == {"price": 12, "size": 1.5, "sold": True, "brand": "5"}
    assert stored["sold"] is True


def test_texts_of_forms_and_addresses_are_converted(client: TestClient) -> None:
    expected = post(client, "search", {"text": "a wall", "k": 3, "keywords": False})[1]
    for keywords in ("false", "False", "0"):
        form = {"text": "a wall", "k": "3", "keywords": keywords, "diversity": "0.0"}
        answer = client.post("/v1/search", files={name: (None, one) for name, one in form.items()})
        assert answer.json()["results"] == expected["results"]
    assert len(client.get("/v1/items?limit=3").json()["items"]) == 3
    for name, text, wanted in (
        ("k", "five", INTEGER),
        ("keywords", "perhaps", BOOLEAN),
        ("diversity", "much", NUMBER),
        ("diversity", "1.5", "Input should be less than or equal to 1"),
    ):
        answer = client.post("/v1/search", files={"text": (None, "a"), name: (None, text)})
        assert answer.status_code == 422
        assert answer.json()["error"]["problem"] == f"invalid request: {name}"
        assert answer.json()["error"]["expected"] == wanted
        assert text in answer.json()["error"]["found"]


def test_json_inside_a_form_has_types_too(writable: TestClient) -> None:
    for path, form, field in (
        ("search", {"vector": '[1.0, "2"]'}, "vector.1"),
        ("search", {"vector": "[true]"}, "vector.0"),
        ("items", {"id": "new", "fields": '{"price": [1]}'}, "fields.price"),
    ):
        answer = writable.post(f"/v1/{path}", files={k: (None, v) for k, v in form.items()})
        assert answer.status_code == 422
        assert answer.json()["error"]["problem"] == f"invalid request: {field}"


def test_every_request_model_is_strict(index: Path) -> None:
    """Also those that a later route adds: each body of the API is one of these models."""
    models = {one.__name__ for one in schemas.RequestModel.__subclasses__()}
    assert labels.LabelRequest.__name__ in models
    for one in schemas.RequestModel.__subclasses__():
        assert one.model_config["strict"] is True
        assert one.model_config["extra"] == "forbid"
    described = build_app(index, ServiceSettings(writable=True)).openapi()
    bodies = [
        call["requestBody"]["content"]["application/json"]["schema"]
        for path in described["paths"].values()
        for call in path.values()
        if "requestBody" in call
    ]
    names = {body.get("title") or body["$ref"].rpartition("/")[2] for body in bodies}
    assert len(bodies) >= 7
    assert names <= models


def test_the_python_client_sends_the_declared_types(
    index: Path,
    shop: Dataset,
    listening: Callable[[FastAPI], AbstractContextManager[str]],
    png: Any,  # noqa: ANN401
) -> None:
    column = shop.columns["image"]
    assert isinstance(column, Images)
    photo = png(np.asarray(column.items[9]))
    app = build_app(index, ServiceSettings(rate=0.0, decode_workers=1))
    options: dict[str, Any] = {
        "k": 4, "offset": 1, "keywords": False, "text_weight": 1, "diversity": 1,
        "min_relevance": 0, "max_similarity": 1, "less_like": ["two words"], "without": "green",
        "where": "price < 30", "query_modality": None, "group_by": "price", "sort": "price",
    }  # fmt: skip
    with listening(app) as address, cs.Index.open(index) as opened:
        service = Client(address)
        vector = service.embed("a red wall")
        unlike = np.asarray(service.embed(image=photo), dtype=np.float32)
        for query in (
            {"text": "a red wall"},
            {"vector": np.asarray(vector, dtype=np.float32)},
            {"text": "a wall", "less_like_vector": unlike},
        ):
            found = service.search(**query, **options)
            expected = opened.search(**query, **options)
            assert [one.id for one in found] == [one.id for one in expected]
        by_form = service.search("a red wall", image=photo, **options)
        direct = opened.search("a red wall", image=column.items[9], **options)
        assert [one.id for one in by_form] == [one.id for one in direct]
