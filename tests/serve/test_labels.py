"""Labels from people: stored in the index and in a file that the next training reads."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

import commonspace as cs
from commonspace.cli.main import build
from commonspace.data import correct_labels, label_file_of, read_corrections
from commonspace.errors import OutputError
from commonspace.serve.labels import LabelFile, next_labels

Serve = Callable[..., AbstractContextManager[TestClient]]


@pytest.fixture
def folder(index: Path, tmp_path: Path) -> Path:
    """A copy of the index, to change."""
    return Path(shutil.copytree(index, tmp_path / "shop"))


@pytest.fixture
def writable(folder: Path, serve: Serve) -> Iterator[TestClient]:
    with serve(folder, writable=True) as client:
        yield client


def test_a_label_is_stored_in_index_and_file(
    writable: TestClient, folder: Path, shop: cs.Dataset
) -> None:
    id = shop.ids[10]
    before = writable.get(f"/v1/items/{id}").json()
    assert before["confirmed"] is False
    answer = writable.post("/v1/labels", json={"id": id, "labels": ["comet", "comet"]}).json()
    assert answer == {"id": id, "labels": ["comet"], "change": "corrected", "by_people": 1}
    after = writable.get(f"/v1/items/{id}").json()
    assert (after["labels"], after["confirmed"]) == (["comet"], True)
    assert {**before, "labels": 0, "confirmed": 0} == {**after, "labels": 0, "confirmed": 0}
    again = writable.post("/v1/labels", json={"id": id, "labels": ["comet"]}).json()
    assert again["change"] == "confirmed"
    cleared = writable.post("/v1/labels", json={"id": id, "labels": []}).json()
    assert cleared["change"] == "cleared"
    lines = [*map(json.loads, label_file_of(folder).read_text("utf-8").splitlines())]
    assert [(line["id"], line["labels"], line["before"]) for line in lines] == [
        (id, ["comet"], before["labels"]),
        (id, ["comet"], ["comet"]),
        (id, [], ["comet"]),
    ]
    facets = writable.post("/v1/facets", json={}).json()["fields"]["label"]
    assert "comet" not in {facet["value"] for facet in facets}


def test_the_next_training_takes_the_labels(
    writable: TestClient, folder: Path, shop: cs.Dataset
) -> None:
    row = int(np.flatnonzero(shop.splits == "train")[3])
    writable.post("/v1/labels", json={"id": shop.ids[row], "labels": ["comet"]})
    corrected = correct_labels(shop, read_corrections(label_file_of(folder)))
    assert corrected.class_names[-1] == "comet"
    assert corrected.labels[row].tolist() == [False] * len(shop.class_names) + [True]


def test_wrong_requests_are_refused(writable: TestClient, client: TestClient) -> None:
    assert writable.post("/v1/labels", json={"id": "absent", "labels": []}).status_code == 404
    assert writable.post("/v1/labels", json={"id": "a/b"}).status_code == 422
    assert writable.post("/v1/labels", json={"id": "a/b", "labels": [""]}).status_code == 422
    assert writable.get("/v1/labels/next?count=0").status_code == 422
    for answer in (
        client.post("/v1/labels", json={"id": "a/b", "labels": ["x"]}),
        client.get("/v1/labels/next"),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "read_only")


def test_items_without_a_class_are_proposed_first(
    writable: TestClient, folder: Path, shop: cs.Dataset
) -> None:
    train = [shop.ids[row] for row in np.flatnonzero(shop.splits == "train")[:3]]
    test = shop.ids[int(np.flatnonzero(shop.splits == "test")[0])]
    with cs.Index.open(folder) as opened:
        opened.set_labels(dict.fromkeys([*train, test], ()))
    found = writable.get("/v1/labels/next?count=2").json()
    assert (found["unlabeled"], found["by_people"]) == (4, 0)
    assert {item["id"] for item in found["items"]} < {*train}
    assert len(found["items"]) == 2
    suggested = found["items"][0]["suggestions"]
    assert suggested[0]["label"] in shop.class_names
    assert suggested[0]["probability"] >= suggested[1]["probability"]
    for id in train[:2]:
        writable.post("/v1/labels", json={"id": id, "labels": [shop.class_names[0]]})
    found = writable.get("/v1/labels/next").json()
    assert [item["id"] for item in found["items"]] == [train[2]]
    assert (found["unlabeled"], found["by_people"]) == (2, 2)


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    file = LabelFile(tmp_path / "absent" / "labels.jsonl")
    with pytest.raises(OutputError, match="cannot be stored"):
        file.add("1", ["hat"], [])
    assert file.read() == {}


def test_the_command_lists_the_same_items(folder: Path, shop: cs.Dataset) -> None:
    row = int(np.flatnonzero(shop.splits == "train")[0])
    with cs.Index.open(folder) as opened:
        opened.set_labels({shop.ids[row]: ()})
        expected, unlabeled = next_labels(opened, {})
    assert unlabeled == 1
    ran = CliRunner().invoke(build(), ["next-labels", str(folder), "--json"])
    assert ran.exit_code == 0, ran.output
    assert [one["id"] for one in json.loads(ran.output)] == [one.id for one in expected]
    table = CliRunner().invoke(build(), ["next-labels", str(folder)])
    assert "0 items labeled by people, 1 without a class" in table.output
