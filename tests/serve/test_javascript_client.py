"""The JavaScript client, in Node, against a service; and its types against the API."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from commonspace import Dataset
from commonspace.serve import ServiceSettings, build_app, schemas

NODE = shutil.which("node")
CLIENT = Path(__file__).parents[2] / "clients" / "javascript" / "commonspace.js"
Listen = Callable[[FastAPI], AbstractContextManager[str]]

SCRIPT = """
import { readFileSync } from "node:fs";
import { Client, ServiceError } from CLIENT;
const [address, photo] = process.argv.slice(2);
const shop = new Client(address);
const said = {};
said.name = (await shop.about()).name;
said.words = (await shop.search({ text: "red", k: 3 })).results.map((one) => one.id);
const { vector } = await shop.embed({ text: "red" });
const found = await shop.search({ vector, k: 3, modality: undefined });
said.vector = found.results.map((one) => one.id);
const image = new Blob([readFileSync(photo)]);
said.photo = (await shop.search({ image, k: 2, where: "price < 20" })).results.length;
said.item = (await shop.item("a/b")).id;
said.all = [];
for await (const item of shop.items({ page: 7 })) said.all.push(item.id);
said.cheap = [];
for await (const item of shop.items({ where: "price < 2" })) said.cheap.push(item.id);
said.brands = (await shop.facets("price < 4")).brand;
const kite = { id: "new 1", text: ["a red kite"], fields: { price: 1 }, image };
said.put = (await shop.put(kite)).change;
const more = [{ id: "new 2", text: ["blue"] }, { id: "new 1", text: ["red"] }];
said.many = (await shop.putMany(more)).added;
said.removed = (await shop.remove("new 2")).change;
said.judged = (await shop.judge({ id: "a/b", useful: true, text: "red" })).status;
said.thumbnail = (await fetch(shop.thumbnailUrl("a/b", 64))).headers.get("content-type");
try {
  await shop.item("absent");
} catch (error) {
  said.error = [error instanceof ServiceError, error.status, error.code];
}
try {
  await new Client("http://127.0.0.1:1").about();
} catch (error) {
  said.unreachable = error.status;
}
console.log(JSON.stringify(said));
"""


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_every_call_in_node(
    index: Path, shop: Dataset, listening: Listen, tmp_path: Path, photo_file: Path
) -> None:
    copytree(index, tmp_path / "shop")
    (tmp_path / "run.mjs").write_text(SCRIPT.replace("CLIENT", json.dumps(CLIENT.as_uri()), 1))
    settings = ServiceSettings(rate=0.0, writable=True, feedback=tmp_path / "votes.jsonl")
    with listening(build_app(tmp_path / "shop", settings)) as address:
        done = subprocess.run(
            [str(NODE), str(tmp_path / "run.mjs"), address, str(photo_file)],
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    assert said["words"] == said["vector"]
    assert said["all"] == list(shop.ids)
    assert said["cheap"] == list(shop.ids[:2])
    assert said["brands"] == [{"value": "Acme", "count": 2}]
    counts = {name: said[name] for name in ("name", "photo", "item", "put", "many", "removed")}
    assert counts == {
        "name": "shop",
        "photo": 2,
        "item": "a/b",
        "put": "added",
        "many": 1,
        "removed": "removed",
    }
    assert (said["judged"], said["thumbnail"]) == ("stored", "image/jpeg")
    assert said["error"] == [True, 404, "not_found"]
    assert said["unreachable"] == 0


@pytest.mark.parametrize(
    ("interface", "model"),
    [("About", schemas.AboutResponse), ("SearchResponse", schemas.SearchResponse)],
)
def test_the_types_name_the_fields_of_the_api(interface: str, model: type[BaseModel]) -> None:
    types = CLIENT.with_suffix(".d.ts").read_text("utf-8")
    body = re.search(rf"interface {interface} \{{\n(.*?)\n\}}", types, re.DOTALL)
    assert body is not None
    assert re.findall(r"(?m)^  (\w+)\??:", body[1]) == list(model.model_fields)


def test_the_types_name_the_parameters_of_a_search() -> None:
    types = CLIENT.with_suffix(".d.ts").read_text("utf-8")
    body = re.search(r"interface Query \{\n(.*?)\n\}", types, re.DOTALL)
    assert body is not None
    named = set(re.findall(r"(?m)^  (\w+)\?:", body[1]))
    assert named - {"image"} == set(schemas.SearchRequest.model_fields)


@pytest.fixture
def photo_file(tmp_path: Path) -> Path:
    """Return a photo."""
    from PIL import Image

    Image.new("RGB", (40, 30), (200, 0, 0)).save(tmp_path / "photo.jpg")
    return tmp_path / "photo.jpg"
