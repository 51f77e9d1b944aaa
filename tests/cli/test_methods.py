"""Methods other than DSCMR from the command line: trained, measured, and refused with advice."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

import commonspace as cs
from commonspace.cli.methods import BY_DESCENT, CLOSED_FORM, MethodOptions, method_for
from commonspace.data import Texts

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


@pytest.mark.parametrize("name", ["infonce", "dcca"])
def test_a_method_that_trains_takes_the_options_of_training(
    name: str, call: Call, points_file: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    sizes = ("--hidden-dim", 16, "--embedding-dim", 8, "--learning-rate", 1e-2, "--epochs", 12)
    done = call("train", points_file, "--method", name, *sizes, "--seed", 3, "--out", run)
    assert done.exit_code == 0, done.output
    assert "of 12: validation mAP" in done.stdout
    options = json.loads((run / "config.json").read_text())["provenance"]["method"]["options"]
    given = {"hidden_dim": 16, "embedding_dim": 8, "epochs": 12, "seed": 3, "patience": 20}
    assert {option: options[option] for option in given} == given
    measured = call("evaluate", run, "--json")
    assert json.loads(measured.stdout)["average"]["map"] > 0.6  # chance is a third


@pytest.mark.parametrize("name", BY_DESCENT)
def test_options_of_dscmr_are_not_passed_over(
    name: str, call: Call, points_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    done = call("train", points_file, "--method", name, "--eta", 1, "--out", out)
    assert done.exit_code == 2
    assert f"the method {name} has no such option" in done.stderr
    assert "found:    eta" in done.stderr
    assert not out.exists()


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


@pytest.mark.parametrize(
    ("words", "raw", "name"),
    [
        ({}, (), "posterior"),
        ({"epochs": 3, "seed": 1}, (), "posterior"),
        ({"lambda_": 0.1}, (), "dscmr"),
        ({"variant": "released"}, (), "dscmr"),
        ({}, ("text",), "dscmr"),
        ({"encoders": {"text": "hf:somewhere"}}, ("text",), "posterior"),
        ({"encoders": {"text": "textcnn"}}, ("text",), "dscmr"),
        ({"encoders": {"text": "hf:somewhere"}, "fine_tune": "top"}, ("text",), "dscmr"),
    ],
)
def test_what_suits_the_data_is_taken_by_itself(
    words: dict[str, Any], raw: tuple[str, ...], name: str, points_file: Path
) -> None:
    data = cs.load_dataset(points_file)
    texts = Texts([("a word",)] * len(data))
    columns = {one: texts if one in raw else column for one, column in data.columns.items()}
    assert method_for(replace(data, columns=columns), MethodOptions(**words)) == name


def test_training_on_features_takes_posterior_matching(
    call: Call, points_file: Path, tmp_path: Path
) -> None:
    done = call("train", points_file, "--epochs", 2, "--hidden-dim", 8, "--out", tmp_path / "run")
    assert done.exit_code == 0, done.stderr
    space = cs.load(tmp_path / "run")
    assert space.provenance["method"]["name"] == "posterior"
