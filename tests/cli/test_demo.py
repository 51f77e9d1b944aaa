"""demo: the whole way on a small copy of the built-in data, and whose folder it may replace."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import Result

import commonspace as cs
from commonspace.cli import demo
from commonspace.cli.methods import MethodOptions
from commonspace.data import Images
from commonspace.datasets.load import BUILT_IN
from commonspace.datasets.scenes.scenes import scenes

Call = Callable[..., Result]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the demo draw few scenes and train for one epoch."""
    monkeypatch.setitem(BUILT_IN, "scenes", lambda seed: scenes(seed, per_class=10))
    monkeypatch.setattr(demo, "OPTIONS", MethodOptions(epochs=1, hidden_dim=16, embedding_dim=8))


@pytest.mark.usefixtures("small")
def test_the_demo_measures_searches_saves_and_may_be_run_again(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    result = call("demo", "--out", out)
    assert result.exit_code == 0, result.stderr
    test = scenes(0, per_class=10).split("test")
    space = cs.load(out)
    report = cs.evaluate(space, test)
    for direction, figures in report.items():
        row = next(line for line in result.stdout.splitlines() if direction in line)
        assert f"{figures['map']:.3f}" in row
    assert json.loads(call("evaluate", out, "--json").stdout) == report
    assert result.stdout.count("\nSearch ") == 3

    # The first search, by hand: its pictures are those with the largest inner products.
    query = space.embed("text", [demo.SENTENCES[0]])[0]
    scores = space.embed("image", test.columns["image"]) @ query
    best = np.argsort(-scores, kind="stable")[0]
    column = test.columns["image"]
    assert isinstance(column, Images)
    file = out / "searches" / "found" / f"{test.ids[best].replace(' ', '-')}.png"
    with Image.open(file) as picture:
        np.testing.assert_array_equal(np.asarray(picture), column.items[best])
    assert f"  {scores[best]:.3f}  {file}" in result.stdout
    for number in (1, 2, 3):
        with Image.open(out / "searches" / f"{number}.png") as sheet:
            sheet.load()

    again = call("demo", "--out", out)
    assert again.exit_code == 0, again.stderr
    assert again.stdout == result.stdout


@pytest.mark.usefixtures("small")
def test_the_demo_replaces_nothing_that_is_not_its_own(
    call: Call, run_folder: Path, tmp_path: Path
) -> None:
    training = call("demo", "--out", run_folder)
    assert training.exit_code == 2
    assert "nothing was changed" in training.stderr
    assert (run_folder / "config.json").exists()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine", "utf-8")
    (mine / "run.json").write_text('{"data": "scenes", "made_by": "demo"}', "utf-8")
    refused = call("demo", "--out", mine)
    assert refused.exit_code == 2
    assert "notes.txt" in refused.stderr
    assert sorted(entry.name for entry in mine.iterdir()) == ["notes.txt", "run.json"]
