"""Methods in closed form from the command line: trained, measured, and refused with advice."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from commonspace.cli.methods import CLOSED_FORM

Call = Callable[..., Result]


@pytest.mark.parametrize("name", ["cca", "scm", "mvda-vc"])
def test_a_run_is_like_any_other(name: str, call: Call, points_file: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = call("train", points_file, "--method", name, "--out", run)
    assert done.exit_code == 0, done.output
    trials = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert f"best of {len(trials)} settings, " in done.stdout
    best = max(one["validation_map"] for one in trials)
    assert f"validation mAP {best:.3f}, after " in done.stdout
    assert list((run / "events").iterdir())
    measured = call("evaluate", run, "--json")
    assert measured.exit_code == 0, measured.output
    assert json.loads(measured.stdout)["average"]["map"] > 0.6  # chance is a third


def test_a_method_that_cannot_take_the_data_leaves_no_folder(
    call: Call, points_file: Path, tmp_path: Path
) -> None:
    done = call("train", points_file, "--method", "raw", "--out", tmp_path / "run")
    assert done.exit_code == 2
    assert "'image': 12, 'text': 7" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", CLOSED_FORM)
def test_options_of_another_method_are_not_passed_over(
    name: str, call: Call, points_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    done = call("train", points_file, "--method", name, "--epochs", 3, "--out", out)
    assert done.exit_code == 2
    assert f"the method {name} has no such option" in done.stderr
    assert "found:    epochs" in done.stderr
    assert not out.exists()
