"""evaluate: the figures of the package, for the data that the run was trained on."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import Result

import commonspace as cs
from commonspace.evaluation import chance_level

Call = Callable[..., Result]


def without_oracle(result: Result) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(result.stdout)
    report.pop("oracle", None)
    return report


@pytest.mark.parametrize("split", ["test", "validation", "train"])
def test_json_is_what_the_package_measures(
    call: Call, run_folder: Path, points_file: Path, split: str
) -> None:
    result = call("evaluate", run_folder, "--split", split, "--json", "--k", 5, "--k", 10)
    assert result.exit_code == 0, result.stderr
    part = cs.load_dataset(points_file).split(split)
    expected = cs.evaluate(cs.load(run_folder), part, k=(5, 10))
    report = json.loads(result.stdout)
    oracle = report.pop("oracle")
    assert set(oracle["accuracy"]) == {"image", "text"}
    assert report == expected
    assert list(report) == ["image->text", "text->image", "average"]
    assert all({"map", "map@5", "map@10"} <= set(figures) for figures in report.values())


def test_the_table_shows_the_same_figures_beside_chance(call: Call, run_folder: Path) -> None:
    table = call("evaluate", run_folder)
    report = without_oracle(call("evaluate", run_folder, "--json"))
    for direction, figures in report.items():
        row = next(line for line in table.stdout.splitlines() if direction in line)
        assert f"{figures['map']:.3f}" in row
        assert "0.333" in row  # three classes of eight: 8/24


def test_another_data_set(call: Call, run_folder: Path, points_file: Path, tmp_path: Path) -> None:
    arrays = dict(np.load(points_file))
    held_out = arrays["split"] == "test"
    arrays["text"][held_out] = arrays["text"][held_out][::-1]
    np.savez(tmp_path / "other.npz", **arrays)
    report = without_oracle(
        call("evaluate", run_folder, "--data", tmp_path / "other.npz", "--json")
    )
    part = cs.load_dataset(tmp_path / "other.npz").split("test")
    assert report == cs.evaluate(cs.load(run_folder), part)
    assert report != cs.evaluate(cs.load(run_folder), cs.load_dataset(points_file).split("test"))


def test_drawn_splits_are_those_of_the_training(
    call: Call, points_file: Path, tmp_path: Path
) -> None:
    arrays = dict(np.load(points_file))
    del arrays["split"]
    data, out = tmp_path / "whole.npz", tmp_path / "run"
    np.savez(data, **arrays)
    small = ("--hidden-dim", 8, "--embedding-dim", 4, "--epochs", 1, "--device", "cpu")
    assert call("train", data, "--out", out, "--split-seed", 3, *small).exit_code == 0
    result = call("evaluate", out, "--json")
    space = cs.load(out)
    assert without_oracle(result) == cs.evaluate(space, cs.load_dataset(data, seed=3).split("test"))
    assert result.stderr == ""
    named = call("evaluate", out, "--data", data, "--json")
    assert named.stdout == result.stdout
    other = without_oracle(call("evaluate", out, "--split-seed", 4, "--json"))
    assert other == cs.evaluate(space, cs.load_dataset(data, seed=4).split("test"))


def test_data_that_changed_since_the_training_is_noted(
    call: Call, points_file: Path, tmp_path: Path
) -> None:
    data, out = tmp_path / "points.npz", tmp_path / "run"
    shutil.copy(points_file, data)
    small = ("--hidden-dim", 8, "--embedding-dim", 4, "--epochs", 1, "--device", "cpu")
    assert call("train", data, "--out", out, *small).exit_code == 0
    assert call("evaluate", out).stderr == ""
    arrays = dict(np.load(points_file))
    arrays["image"][0, 0] += 1
    np.savez(data, **arrays)
    changed = call("evaluate", out)
    assert changed.exit_code == 0
    assert "have changed since training" in changed.stderr


def test_training_samples_in_another_data_set_are_counted(
    call: Call, run_folder: Path, points_file: Path, tmp_path: Path
) -> None:
    arrays = dict(np.load(points_file))
    arrays["split"] = np.repeat(["test", "train", "validation"], [96, 14, 10])
    np.savez(tmp_path / "more.npz", **arrays)
    shown = call("evaluate", run_folder, "--data", tmp_path / "more.npz")
    assert (
        "note: 72 of the 96 test samples have the 'image' features and 'text' features of a"
        " training sample, for example '0' of '0'"
    ) in shown.stdout
    facts = json.loads(
        call("evaluate", run_folder, "--data", tmp_path / "more.npz", "--json").stdout
    )
    assert [(found["count"], found["samples"]) for found in facts["overlap"]] == [(72, 96)]
    clean = json.loads(call("evaluate", run_folder, "--data", points_file, "--json").stdout)
    assert "overlap" not in clean


def test_a_space_saved_from_python_needs_data(
    call: Call, run_folder: Path, points_file: Path, tmp_path: Path
) -> None:
    cs.load(run_folder).save(tmp_path / "space")
    refused = call("evaluate", tmp_path / "space")
    assert refused.exit_code == 2
    assert "--data" in refused.stderr
    assert call("evaluate", tmp_path / "space", "--data", points_file).exit_code == 0


def test_what_is_no_run_is_refused(call: Call, run_folder: Path, tmp_path: Path) -> None:
    missing = call("evaluate", tmp_path / "nothing")
    assert missing.exit_code == 2
    assert "holds no saved space" in missing.stderr
    damaged = tmp_path / "damaged"
    shutil.copytree(run_folder, damaged)
    (damaged / "run.json").write_text("{", "utf-8")
    refused = call("evaluate", damaged)
    assert refused.exit_code == 2
    assert "run.json cannot be read" in refused.stderr


def test_chance_is_the_share_of_relevant_pairs() -> None:
    draw = np.random.default_rng(0)
    for classes, size in ((4, 0.25), (3, 0.6)):
        queries, gallery = (draw.random((n, classes)) < size for n in (37, 53))
        shares = [
            np.mean([bool((query & item).any()) for item in gallery])
            for query in queries
            if query.any()
        ]
        assert chance_level(queries, gallery) == pytest.approx(np.mean(shares), rel=1e-12)
