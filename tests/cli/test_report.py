"""report: the folder of a run in, pictures and a page out; what cannot be is refused before."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import Result

from commonspace.plots import FORMATS
from commonspace.reporting import ReportOptions

Call = Callable[..., Result]


def test_a_report_of_a_run(call: Call, run_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    result = call("report", run_folder, "--out", out, "--points", 8, "--formats", "png")
    assert result.exit_code == 0, result.stderr
    assert f"next: open {out / 'report.html'}" in result.stdout
    measured = json.loads(call("evaluate", run_folder, "--json").stdout)
    numbers = json.loads((out / "report.json").read_text("utf-8"))
    assert numbers["split"] == "test"
    for direction, figures in numbers["directions"].items():
        assert figures["map"] == pytest.approx(measured[direction]["map"], abs=1e-12)
    page = (out / "report.html").read_text("utf-8")
    assert "epoch 12" in page or "chosen: epoch" in page
    assert numbers["provenance"]["data"]["fingerprint"] in page
    assert "have changed since training" not in result.stderr
    pictures = sorted(path.stem for path in out.glob("*.png"))
    assert {"common-space", "learning-curves", "classes"} <= set(pictures)
    for path in out.glob("*.png"):
        with Image.open(path) as picture:
            picture.verify()
    again = call("report", run_folder, "--out", out)
    assert again.exit_code == 2
    assert "already exists" in again.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--formats", "gif"), "unknown figure format"),
        (("--points", "2"), "points"),
        (("--items", "nowhere"), "nowhere"),
        (("--split", "other"), "split"),
    ],
)
def test_invalid_options_are_refused_and_nothing_is_left(
    call: Call, run_folder: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    result = call("report", run_folder, "--out", tmp_path / "report", *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_notes_name_samples_used_in_training_or_selection(
    run_folder: Path, points_file: Path
) -> None:
    import commonspace as cs
    from commonspace.cli.report import _notes

    space, data = cs.load(run_folder), cs.load_dataset(points_file)
    assert _notes(space, data, "test") == []
    assert ["trained on these samples" in note for note in _notes(space, data, "train")] == [True]
    assert "chosen on these samples" in _notes(space, data, "validation")[0]
    reversed_ = data.take(np.arange(len(data))[::-1])
    assert "have changed since training" in _notes(space, reversed_, "test")[0]


def test_the_defaults_are_those_of_the_package() -> None:
    import inspect

    from commonspace.cli.report import report

    given = {name: one.default for name, one in inspect.signature(report).parameters.items()}
    assert given["formats"] == ",".join(FORMATS)
    assert (given["points"], given["seed"]) == (ReportOptions().points, ReportOptions().seed)
