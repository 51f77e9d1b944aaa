"""Judgments of visitors: stored only if asked for, and exported as pairs for training."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient
from typer.testing import CliRunner

from commonspace.cli.main import build
from commonspace.data import Texts
from commonspace.datasets import load_dataset
from commonspace.errors import FileFormatError, OutputError
from commonspace.retrieval.items import Item
from commonspace.serve import feedback
from commonspace.serve.feedback import FeedbackFile, export_pairs, read_votes

Serve = Callable[..., AbstractContextManager[TestClient]]


def test_judgments_are_added_line_by_line(index: Path, serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "votes.jsonl"
    with serve(index, feedback=file) as client:
        assert client.get("/v1/about").json()["feedback"] is True
        for useful in (True, False):
            body = {"id": "a/b", "text": "red", "useful": useful}
            assert client.post("/v1/feedback", json=body).json() == {"status": "stored"}
        unknown = client.post("/v1/feedback", json={"id": "absent", "useful": True})
        assert unknown.status_code == 404
        assert client.post("/v1/feedback", json={"id": "a/b"}).status_code == 422
    records = [*map(json.loads, file.read_text("utf-8").splitlines())]
    assert [(one["id"], one["text"], one["useful"]) for one in records] == [
        ("a/b", "red", True),
        ("a/b", "red", False),
    ]


def test_without_a_file_judgments_are_refused(client: TestClient) -> None:
    assert client.get("/v1/about").json()["feedback"] is False
    refused = client.post("/v1/feedback", json={"id": "a/b", "useful": True})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "read_only")


def test_votes_are_counted_and_a_cut_last_line_is_ignored(tmp_path: Path) -> None:
    file = FeedbackFile(tmp_path / "votes.jsonl")
    for text, id, useful in (
        ("A red  Kite", "1", True),
        ("a red kite", "1", True),
        ("a red kite", "1", False),
        ("a red kite", "2", False),
    ):
        file.add(text=text, query_id=None, id=id, useful=useful)
    file.add(text=None, query_id="1", id="2", useful=True)
    with file.path.open("a") as raw:
        raw.write('{"text": "cut')
    assert read_votes(file.path) == {("a red kite", "1"): 1, ("a red kite", "2"): -1}


def test_pairs_are_further_lines_of_the_data(tmp_path: Path) -> None:
    """A photo of the test split stays there, and keeps its id and class."""
    lines = [
        {"file_name": f"{n}.png", "text": f"text {n}", "label": "ab"[n % 2], "split": split}
        for n, split in enumerate(("train", "train", "validation", "test"))
    ]
    for line in lines:
        Image.new("RGB", (2, 2)).save(tmp_path / line["file_name"])
    votes = {("red", "3.png"): 2, ("red", "1.png"): -1, ("blue", "new"): 1, ("blue", "gone"): 1}
    votes |= {("blue", "bare"): 1}
    items = {
        name: Item(id=name, fields={}, photo=str(tmp_path / name)) for name in ("3.png", "1.png")
    }
    items["new"] = Item(id="new", fields={}, photo=str(tmp_path / "shop" / "photos" / "new.png"))
    items["bare"] = Item(id="bare", fields={})
    pairs = export_pairs(votes, items, tmp_path / "shop" / "photos")
    assert pairs == [{"file_name": str(tmp_path / "3.png"), "text": "red"}]
    text = "".join(json.dumps(line) + "\n" for line in [*lines, *pairs])
    (tmp_path / "metadata.jsonl").write_text(text)
    data = load_dataset(tmp_path)
    texts = data.columns["text"]
    assert isinstance(texts, Texts)
    assert data.ids == ("0.png", "1.png", "2.png", "3.png")
    assert texts.items[3] == ("text 3", "red")
    assert data.splits.tolist() == ["train", "train", "validation", "test"]


def test_damaged_and_full_files_are_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "votes.jsonl").write_text("{}\n{}\n")
    with pytest.raises(FileFormatError, match="line 1"):
        read_votes(tmp_path / "votes.jsonl")
    monkeypatch.setattr(feedback, "MAX_BYTES", 1)
    with pytest.raises(OutputError, match="full"):
        FeedbackFile(tmp_path / "votes.jsonl").add(text="a", query_id=None, id="1", useful=True)


def test_the_command_writes_the_pairs(index: Path, tmp_path: Path) -> None:
    FeedbackFile(tmp_path / "v").add(text="red", query_id=None, id="a/b", useful=False)
    words = ["feedback", str(tmp_path / "v"), str(index), "--out", str(tmp_path / "p.jsonl")]
    result = CliRunner().invoke(build(), words)
    assert result.exit_code == 0, result.stderr
    assert "0 pairs, of 1 judged; 1 were judged against" in result.stdout
    assert (tmp_path / "p.jsonl").read_text() == ""
    assert "left out" not in result.stderr
    FeedbackFile(tmp_path / "v").add(text="blue", query_id=None, id="gone", useful=True)
    words[-1] = str(tmp_path / "q.jsonl")
    assert "note: 1 left out: no photo" in CliRunner().invoke(build(), words).stderr
