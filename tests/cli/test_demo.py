"""Command ``demo`` on a small copy of the built-in data, and which folders it replaces."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import Result

import commonspace as cs
from commonspace.cli import demo
from commonspace.data import Images
from commonspace.datasets.load import BUILT_IN
from commonspace.datasets.scenes.scenes import scenes

Call = Callable[..., Result]


@pytest.fixture
def small_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit the demo to few scenes and one epoch."""
    monkeypatch.setitem(BUILT_IN, "scenes", lambda seed: scenes(seed, per_class=10))
    monkeypatch.setattr(demo, "OPTIONS", {"epochs": 1, "hidden_dim": 16, "embedding_dim": 8})


@pytest.mark.usefixtures("small_scenes")
def test_demo_evaluates_searches_saves_and_can_be_repeated(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    result = call("demo", "--out", out)
    assert result.exit_code == 0, result.stderr
    test = scenes(0, per_class=10).split("test")
    space = cs.load(out)
    report = cs.evaluate(space, test)
    for direction, figures in report.items():
        row = next(line for line in result.stdout.splitlines() if direction in line)
        assert f"{figures['map']:.3f}" in row
    measured = json.loads(call("evaluate", out, "--json").stdout)
    assert set(measured.pop("oracle")["accuracy"]) == {"image", "text"}
    assert measured == report
    assert result.stdout.count("\nSearch ") == 3

    # The first search, repeated here: the pictures with the largest inner products.
    query = space.embed("text", [demo.SENTENCES[0]])[0]
    scores = space.embed("image", test.columns["image"]) @ query
    best = np.argsort(-scores, kind="stable")[0]
    column = test.columns["image"]
    assert isinstance(column, Images)
    file = out / "searches" / "results" / f"{test.ids[best].replace(' ', '-')}.png"
    with Image.open(file) as picture:
        np.testing.assert_array_equal(np.asarray(picture), column.items[best])
    assert f"  {scores[best]:.3f}  {file}" in result.stdout
    for number in (1, 2, 3):
        with Image.open(out / "searches" / f"{number}.png") as sheet:
            sheet.load()

    again = call("demo", "--out", out)
    assert again.exit_code == 0, again.stderr
    assert again.stdout == result.stdout


@pytest.mark.usefixtures("small_scenes")
def test_demo_replaces_only_its_own_output(call: Call, run_folder: Path, tmp_path: Path) -> None:
    other_run = call("demo", "--out", run_folder)
    assert other_run.exit_code == 2
    assert "nothing was changed" in other_run.stderr
    assert (run_folder / "config.json").exists()
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "notes.txt").write_text("notes", "utf-8")
    (folder / "run.json").write_text('{"data": "scenes", "made_by": "demo"}', "utf-8")
    result = call("demo", "--out", folder)
    assert result.exit_code == 2
    assert "notes.txt" in result.stderr
    assert sorted(entry.name for entry in folder.iterdir()) == ["notes.txt", "run.json"]
