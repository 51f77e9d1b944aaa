"""train: what it writes, what it refuses, and that the test split is out of its reach."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
    EventAccumulator,
)
from typer.testing import Result

import commonspace as cs
from commonspace.methods import PosteriorMatching

Call = Callable[..., Result]
SMALL = (
    "--hidden-dim",
    "16",
    "--embedding-dim",
    "8",
    "--device",
    "cpu",
    "--learning-rate",
    "0.003",
)


def content(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with what is in it."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_finished_run_holds_the_space_and_its_records(run_folder: Path) -> None:
    assert sorted(entry.name for entry in run_folder.iterdir()) == [
        "SHA256SUMS",
        "config.json",
        "history.jsonl",
        "model.safetensors",
        "run.json",
    ]
    history = [*map(json.loads, (run_folder / "history.jsonl").read_text("utf-8").splitlines())]
    assert [record["epoch"] for record in history] == list(range(1, 13))
    chosen = cs.load(run_folder).provenance["chosen"]
    best = max(history, key=lambda record: record["validation_score"])
    assert (chosen["epoch"], chosen["validation_score"]) == (
        best["epoch"],
        best["validation_score"],
    )


def test_the_chosen_epoch_is_what_validation_gives(run_folder: Path, points_file: Path) -> None:
    space = cs.load(run_folder)
    report = cs.evaluate(space, cs.load_dataset(points_file).split("validation"))
    assert report["average"]["map"] == pytest.approx(
        space.provenance["chosen"]["validation_score"], rel=1e-6
    )
    assert report["average"]["map"] > 0.6  # a random order: about 1/3


def test_tensorboard_events_hold_the_figures_of_the_history(
    call: Call, points_file: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = ("--method", "dscmr", "--epochs", 3, "--tensorboard", "--out", run, *SMALL)
    assert call("train", points_file, *words).exit_code == 0
    events = EventAccumulator(str(run / "events"))
    events.Reload()
    history = [*map(json.loads, (run / "history.jsonl").read_text("utf-8").splitlines())]
    shown = [event.value for event in events.Scalars("validation/map")]
    assert shown == pytest.approx([record["validation_score"] for record in history], rel=1e-6)
    for part in ("loss", "J1", "J2", "J3"):
        shown = [event.value for event in events.Scalars(f"train/{part}")]
        assert shown == pytest.approx([record["losses"][part] for record in history], rel=1e-6)


def test_a_missing_tensorboard_names_the_command_that_installs_it(
    call: Call, points_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    done = call("train", points_file, "--tensorboard", "--out", tmp_path / "run")
    assert done.exit_code == 2
    assert 'pip install "commonspace[tensorboard]"' in done.stderr
    assert not (tmp_path / "run").exists()


def test_the_last_lines_name_the_next_command(
    call: Call, points_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "my run"
    result = call("train", points_file, "--out", out, "--epochs", 1, *SMALL)
    assert result.exit_code == 0, result.stderr
    assert "validation mAP" in result.stdout
    assert "test" not in result.stdout.replace(str(tmp_path), "")
    assert result.stdout.splitlines()[-1] == f"next: commonspace evaluate '{out}'"


def test_the_test_split_changes_nothing(call: Call, points_file: Path, tmp_path: Path) -> None:
    arrays = dict(np.load(points_file))
    held_out = arrays["split"] == "test"
    for name in ("image", "text"):
        arrays[name][held_out] *= -3
    arrays["label"][held_out] = 0
    np.savez(tmp_path / "poisoned.npz", **arrays)
    for data, out in ((points_file, "clean"), (tmp_path / "poisoned.npz", "poisoned")):
        result = call("train", data, "--out", tmp_path / out, "--epochs", 4, *SMALL)
        assert result.exit_code == 0, result.stderr
    clean, poisoned = (
        load_file(tmp_path / out / "model.safetensors") for out in ("clean", "poisoned")
    )
    assert clean.keys() == poisoned.keys()
    for name, weights in clean.items():
        np.testing.assert_array_equal(weights, poisoned[name])


def test_an_out_that_exists_is_refused_and_untouched(
    call: Call, run_folder: Path, points_file: Path
) -> None:
    before = content(run_folder)
    result = call("train", points_file, "--out", run_folder, "--epochs", 1, *SMALL)
    assert result.exit_code == 2
    assert "already exists" in result.stderr
    assert "to do:" in result.stderr
    assert content(run_folder) == before


def test_a_run_that_cannot_begin_leaves_no_folder(
    call: Call, points_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    for words, problem in (
        ((tmp_path / "nowhere.npz",), "there is no data set"),
        ((points_file, "--device", "abacus"), "no device 'abacus'"),
        ((points_file, "--method", "magic"), "unknown method 'magic'"),
        ((points_file, "--learning-rate", "1e30", *SMALL[:4]), "finite"),
        ((points_file, "--hidden-dim", 10**13), "out of memory"),
        ((points_file, "--hidden-dim", 10**18), "out of memory"),
    ):
        result = call("train", *words, "--out", out)
        assert result.exit_code == 2, result.output
        assert problem in result.stderr
        assert "Traceback" not in result.output
        assert not out.exists()


def test_damaged_data_is_named_and_advice_is_in_the_words_of_the_command_line(
    call: Call, points_file: Path, tmp_path: Path
) -> None:
    arrays = dict(np.load(points_file))
    arrays["image"][5, 2] = np.nan
    np.savez(tmp_path / "nan.npz", **arrays)
    result = call("train", tmp_path / "nan.npz", "--out", tmp_path / "run", "--epochs", 1, *SMALL)
    assert result.exit_code == 2
    assert "row 5, column 2" in result.stderr
    assert "--skip-invalid" in result.stderr
    assert "partial=True" not in result.stderr
    result = call(
        "train",
        tmp_path / "nan.npz",
        "--out",
        tmp_path / "run",
        "--epochs",
        1,
        "--skip-invalid",
        *SMALL,
    )
    assert result.exit_code == 0, result.stderr
    assert "note: " in result.stderr
    assert call("evaluate", tmp_path / "run").exit_code == 0  # opened with --skip-invalid again


def test_a_finished_run_is_not_resumed(call: Call, run_folder: Path, points_file: Path) -> None:
    before = content(run_folder)
    result = call("train", points_file, "--out", run_folder, "--resume", *SMALL)
    assert result.exit_code == 2
    assert "finished" in result.stderr
    assert f"commonspace evaluate {run_folder}" in result.stderr
    assert content(run_folder) == before


def test_without_a_checkpoint_nothing_is_resumed(
    call: Call, points_file: Path, tmp_path: Path
) -> None:
    result = call("train", points_file, "--out", tmp_path / "run", "--resume", *SMALL)
    assert result.exit_code == 2
    assert "nothing to resume" in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_stop_before_the_first_epoch_leaves_nothing(
    call: Call, points_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> cs.CommonSpace:
        raise KeyboardInterrupt

    monkeypatch.setattr(PosteriorMatching, "fit", stop)
    result = call("train", points_file, "--out", tmp_path / "run")
    assert result.exit_code == 130
    assert "nothing was kept" in result.stderr
    assert not (tmp_path / "run").exists()


def test_seeds_differ_and_repeat(call: Call, points_file: Path, tmp_path: Path) -> None:
    for out, seed in (("a", 0), ("b", 0), ("c", 1)):
        words = ("--out", tmp_path / out, "--seed", seed, "--epochs", 2, *SMALL)
        assert call("train", points_file, *words).exit_code == 0
    first, again, other = ((tmp_path / out / "model.safetensors").read_bytes() for out in "abc")
    assert first == again
    assert first != other
