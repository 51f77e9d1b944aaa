"""The folder of a run: one training at a time, started again or continued, and never in between."""

import json
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import Result

from commonspace.cli.runs import RunRecord, continued_run, new_run
from commonspace.errors import FileFormatError, OutputError, SpaceError
from commonspace.reporting.run_files import read_learning_curves

Call = Callable[..., Result]
SMALL = ("--epochs", "2", "--hidden-dim", "8", "--embedding-dim", "4", "--device", "cpu")
KILLED = """
import os, signal, sys
from pathlib import Path
from commonspace.cli.runs import RunRecord, new_run
with new_run(Path(sys.argv[1]), RunRecord(sys.argv[2])):
    (Path(sys.argv[1]) / ".checkpoint.safetensors.ab12.safetensors").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
HOLDING = """
import sys, time
from pathlib import Path
from commonspace.cli.runs import RunRecord, new_run
with new_run(Path(sys.argv[1]), RunRecord("points.npz")):
    print("started", flush=True)
    time.sleep(60)
"""


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_flipped_bit_in_a_run_is_refused_or_reported(
    call: Call, run_folder: Path, tmp_path: Path
) -> None:
    assert call("verify", run_folder).output == "problems: none\n"
    draw = random.Random(0)
    files = [file for file in sorted(run_folder.iterdir()) if file.stat().st_size]
    for number in range(60):
        run = Path(shutil.copytree(run_folder, tmp_path / str(number)))
        file = run / files[number % len(files)].name
        content = bytearray(file.read_bytes())
        place = draw.randrange(len(content))
        content[place] ^= 1 << draw.randrange(8)
        file.write_bytes(content)
        done = call("verify", run)
        assert done.exit_code == 1, (file.name, place)
        assert file.name in done.output
        assert "Traceback" not in done.output


def test_a_changed_record_or_history_is_not_used(
    call: Call, run_folder: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(run_folder, tmp_path / "run"))
    record = (run / "run.json").read_text("utf-8")
    assert '"split_seed": 0' in record
    (run / "run.json").write_text(record.replace('"split_seed": 0', '"split_seed": 1'))
    with pytest.raises(SpaceError, match="cannot be read"):
        RunRecord.read(run)
    history = (run / "history.jsonl").read_text("utf-8")
    (run / "history.jsonl").write_text(history.replace('"epoch": 1,', '"epoch": 3,', 1))
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_learning_curves(run, {"epoch": 2})
    (run / "SHA256SUMS").unlink()  # a run of an older version has none
    assert RunRecord.read(run) is not None
    assert read_learning_curves(run, {"epoch": 2}) is not None


def test_a_training_killed_in_its_first_epoch_starts_again_with_resume(
    call: Call, points_file: Path, tmp_path: Path
) -> None:
    out, whole = tmp_path / "run", tmp_path / "whole"
    command = [sys.executable, "-c", KILLED, str(out), str(points_file)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    before = names(out)
    refused = call("train", points_file, "--out", out, *SMALL)
    assert refused.exit_code == 2
    assert "has not ended" in refused.stderr
    assert "--resume" in refused.stderr
    assert names(out) == before
    resumed = call("train", points_file, "--out", out, *SMALL, "--resume")
    assert resumed.exit_code == 0, resumed.stderr
    assert call("train", points_file, "--out", whole, *SMALL).exit_code == 0
    weights = "model.safetensors"
    assert (out / weights).read_bytes() == (whole / weights).read_bytes()
    assert names(out) == names(whole)  # the draft is gone, too


def test_two_trainings_do_not_share_a_folder(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-c", HOLDING, str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "started\n"
        for begin in (new_run, continued_run):
            with (
                pytest.raises(OutputError, match="another training is running"),
                begin(out, RunRecord("points.npz")),
            ):
                pytest.fail("it began beside the other")
        assert names(out) == ["run.json"]
        first.kill()
    with continued_run(out, RunRecord("other.npz")) as has_checkpoint:
        assert not has_checkpoint
        assert RunRecord.read(out) == RunRecord("other.npz")
    assert names(out) == ["run.json"]


def test_a_folder_given_empty_stays_when_nothing_was_made(tmp_path: Path) -> None:
    with suppress(KeyboardInterrupt), new_run(tmp_path, RunRecord("a")):
        assert names(tmp_path) == ["run.json"]
        raise KeyboardInterrupt
    assert names(tmp_path) == []


@pytest.mark.parametrize("content", ["", "[1]", "3", '{"data": 3}', '{"data": "x", "b": 1}', "{}"])
def test_a_damaged_record_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(SpaceError, match="name the data with --data") as caught:
        RunRecord.read(tmp_path)
    assert "RunRecord()" not in str(caught.value)


def test_partial_does_without_broken_pictures(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    lines = []
    for number in range(24):
        name, label = f"{number}.png", ("red", "blue")[number % 2]
        Image.new("RGB", (8, 8), label).save(folder / name)
        split = ("train", "train", "validation", "test")[number // 2 % 4]
        line = {"file_name": name, "text": f"{label} {number}", "label": label, "split": split}
        lines.append(json.dumps(line))
    (folder / "metadata.jsonl").write_text("\n".join(lines), "utf-8")
    for number in (0, 7):  # of train and of test
        damaged = folder / f"{number}.png"
        damaged.write_bytes(damaged.read_bytes()[:40])
    out = tmp_path / "run"
    strict = call("train", folder, "--out", out, *SMALL)
    assert strict.exit_code == 2
    assert "0.png is corrupt" in strict.stderr
    assert not out.exists()
    trained = call("train", folder, "--out", out, "--skip-invalid", *SMALL)
    assert trained.exit_code == 0, trained.stderr
    assert trained.stderr.count("it has no image") == 2
    measured = call("evaluate", out, "--json")
    assert measured.exit_code == 0, measured.stderr
    assert json.loads(measured.stdout)["image->text"]["queries"] == 5
    assert "have changed" not in measured.stderr


@pytest.mark.parametrize("form", ["{}", "classes:{}", "{}?image=a&label=b"])
def test_the_data_is_found_from_any_folder_and_after_a_move(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tmp_path / "work"
    (whole / "data set").mkdir(parents=True)
    run = whole / "runs" / "one"
    run.mkdir(parents=True)
    monkeypatch.chdir(whole)
    RunRecord(form.format("data set"), split_seed=3).write(run)
    monkeypatch.chdir(tmp_path)
    expected = RunRecord(form.format(whole / "data set"), split_seed=3)
    assert RunRecord.read(run) == expected
    monkeypatch.chdir(run)
    assert RunRecord.read(Path()) == expected
    whole.rename(tmp_path / "moved")
    moved = RunRecord.read(tmp_path / "moved" / "runs" / "one")
    assert moved is not None
    head, _, tail = form.partition("{}")
    path = Path(moved.data.removeprefix(head).removesuffix(tail)).resolve()
    assert path == tmp_path / "moved" / "data set"


def test_data_that_is_no_path_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scenes").mkdir()
    (tmp_path / "run").mkdir()
    RunRecord("scenes").write(tmp_path / "run")
    assert RunRecord.read(tmp_path / "run") == RunRecord("scenes")


def test_a_run_is_evaluated_from_another_folder(
    call: Call, points_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "points.npz").write_bytes(points_file.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert call("train", "points.npz", "--out", "run", *SMALL).exit_code == 0
    expected = call("evaluate", "run", "--json").stdout
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert call("evaluate", "../run", "--json").stdout == expected


@pytest.mark.parametrize(
    "words",
    [
        ("train", "DATA"),
        ("index", "RUN", "DATA"),
        ("embed", "RUN", "--data", "DATA"),
        ("compare", "DATA", "--methods", "cca"),
        ("report", "RUN"),
        ("assess", "DATA"),
        ("start", "DATA"),
        ("demo",),
        ("new-method", "mine"),
        ("audit", "SHOP"),
    ],
    ids=lambda words: words[0],
)
def test_a_result_under_a_file_is_refused(
    words: tuple[str, ...], call: Call, run_folder: Path, points_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("x")
    shop, out = tmp_path / "shop", tmp_path / "notes.txt/x.npz"
    if "SHOP" in words:
        assert call("index", run_folder, points_file, "--out", shop).exit_code == 0
    places = {"DATA": points_file, "RUN": run_folder, "SHOP": shop}
    result = call(*(places.get(word, word) for word in words), "--out", out)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert f"{tmp_path / 'notes.txt'} is a file" in " ".join(result.stderr.split())
    assert "free some" not in result.stderr


def test_the_new_place_of_moved_data_can_be_given(
    call: Call, points_file: Path, tmp_path: Path
) -> None:
    data, moved, run = tmp_path / "points.npz", tmp_path / "moved.npz", tmp_path / "run"
    shutil.copy(points_file, data)
    assert call("train", data, "--out", run, *SMALL).exit_code == 0
    expected = json.loads(call("evaluate", run, "--json").stdout)
    data.rename(moved)
    refused = call("evaluate", run)
    assert refused.exit_code == 2
    assert "name its new place: --data DATA" in refused.stderr
    measured = call("evaluate", run, "--data", moved, "--json")
    assert json.loads(measured.stdout) == expected
    assert measured.stderr == ""
