"""Command ``sensitivity``: each figure of the grid is that of a single training."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

import commonspace as cs
from commonspace.comparison import sensitivity as module
from commonspace.comparison.sensitivity import measure_sensitivity
from commonspace.data import Dataset

Call = Callable[..., Result]

SMALL = ("--hidden-dim", "8", "--embedding-dim", "4", "--device", "cpu")


def test_each_figure_is_that_of_a_training(feature_dataset: Dataset, tmp_path: Path) -> None:
    method = cs.DSCMR(hidden_dim=8, embedding_dim=4, epochs=2, patience=2, learning_rate=1e-2)
    found = measure_sensitivity(
        method, feature_dataset, tmp_path, lambdas=(0.0, 1.0), etas=(0.1, 2.0)
    )
    assert json.loads((tmp_path / "sensitivity.json").read_text()) == found
    assert (found["lambda"], found["eta"], found["split"]) == ([0.0, 1.0], [0.1, 2.0], "validation")
    single = cs.DSCMR(
        hidden_dim=8,
        embedding_dim=4,
        epochs=2,
        patience=2,
        learning_rate=1e-2,
        lam=1.0,
        eta=0.1,
    ).fit(feature_dataset.split("train"), feature_dataset.split("validation"), cs.RunConfig())
    assert found["map"][1][0] == pytest.approx(single.provenance["chosen"]["validation_score"])
    assert len({figure for row in found["map"] for figure in row}) > 1


def test_a_run_gets_its_sensitivity_and_the_report_draws_it(
    call: Call, points_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WEIGHTS", (0.01, 1.0))
    run = tmp_path / "run"
    words = ("--method", "dscmr", "--out", run, "--epochs", 2, *SMALL)
    assert call("train", points_file, *words).exit_code == 0
    done = call("sensitivity", run, "--epochs", 1, "--jobs", 1)
    assert done.exit_code == 0, done.stderr
    surface = json.loads((run / "sensitivity.json").read_text())
    assert len(surface["map"]) == len(surface["lambda"])
    assert f"{surface['map'][0][0]:.3f}" in done.stdout
    longer = call("sensitivity", run, "--epochs", 2, "--jobs", 1)  # in place of the first
    assert longer.exit_code == 0, longer.stderr
    assert json.loads((run / "sensitivity.json").read_text()) != surface
    assert call("report", run, "--formats", "png").exit_code == 0
    assert (run / "report" / "sensitivity.png").exists()


def test_other_methods_have_none(call: Call, points_file: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert call("train", points_file, "--out", run, "--method", "linear-probe").exit_code == 0
    done = call("sensitivity", run)
    assert done.exit_code == 2
    assert "supports DSCMR only" in done.stderr
