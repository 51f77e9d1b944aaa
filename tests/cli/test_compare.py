"""``commonspace compare``: the table from the command line, and what it says when it cannot."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet as parquet
import pytest
from typer.testing import Result

from commonspace.comparison.experiments import ABLATIONS, EXPERIMENTS, make_experiments
from commonspace.errors import SettingError
from commonspace.methods import CCA, DSCMR

Call = Callable[..., Result]

TOY = Path(__file__).parents[1] / "comparison" / "toy.py"
QUICK = ("--seeds", 2, "--trials", 2, "--epochs", 2, "--patience", 1, "--jobs", 1)

CENTER_LOSS = """
import commonspace as cs
from commonspace.settings import setting

class CenterLoss(cs.GradientMethod):
    margin: float = setting(0.2, help="Margin.", above=0)

    def loss(self, embeddings, labels):
        centers = sum(labels.T @ z for z in embeddings.values())
        return sum(((z - labels @ centers).norm(dim=1) - self.margin).relu().mean()
                   for z in embeddings.values())
"""


def read(table: Path) -> dict[str, dict[str, str]]:
    with (table / "table.csv").open(newline="") as file:
        return {row["method"]: row for row in csv.DictReader(file)}


def test_a_protocol_changes_the_data(call: Call, points_file: Path, tmp_path: Path) -> None:
    words = ("compare", points_file, "--methods", "linear-probe,cca", *QUICK)
    done = call(*words, "--out", tmp_path / "t", "--protocol", "unpaired", "--share", 1)
    assert done.exit_code == 0, done.stderr
    assert "unpaired 1" in (tmp_path / "t" / "table.md").read_text("utf-8")
    rows = read(tmp_path / "t")
    assert float(rows["linear-probe"]["map average"]) > 0.25
    assert "too few complete samples" in rows["cca"]["failed"]
    for wrong, message in (
        (("--share", 0.5), "`share` is not supported by the protocol validation"),
        (("--protocol", "noise", "--share", 2), "`share` of the protocol noise must be"),
    ):
        done = call(*words, "--out", tmp_path / "u", *wrong)
        assert done.exit_code == 2
        assert message in done.stderr


def test_a_table_of_two_methods_and_a_user_defined_one(
    call: Call, points_file: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table"
    words = ("compare", points_file, "--methods", "linear-probe", "--methods", f"cca,{TOY}:Toy")
    done = call(*words, "--out", table, "--baseline", "cca", *QUICK)
    assert done.exit_code == 0, done.stderr
    rows = read(table)
    assert list(rows) == ["linear-probe", "cca", "toy"]
    assert {name: row["seeds"] for name, row in rows.items()} == {
        "linear-probe": "1",
        "cca": "1",
        "toy": "2",
    }
    assert rows["cca"]["p corrected"] == ""
    assert float(rows["linear-probe"]["difference"]) == pytest.approx(
        float(rows["linear-probe"]["map average"]) - float(rows["cca"]["map average"])
    )
    for name in ("table.md", "table.tex", "table.json"):
        assert (table / name).stat().st_size
    assert "toy/seed-01" in done.stderr
    assert f"{float(rows['toy']['map average']):.3f}" in done.stdout
    again = call(*words, "--out", table, "--baseline", "cca", *QUICK)
    assert again.exit_code == 0, again.stderr
    assert "6 of 6 were done before" in again.stderr
    assert read(table) == rows


@pytest.mark.usefixtures("in_process_workers")
def test_a_method_that_cannot_take_the_data_is_said_and_left_out(
    call: Call, tmp_path: Path
) -> None:
    draw = np.random.default_rng(0)
    label = np.arange(60) % 3
    one, two, three = (draw.normal(size=(3, 5))[label] + draw.normal(size=(60, 5)) for _ in "abc")
    split = np.repeat(["train", "validation", "test"], 20)
    np.savez(tmp_path / "three.npz", one=one, two=two, three=three, label=label, split=split)
    done = call(
        "compare",
        tmp_path / "three.npz",
        "--methods",
        "cca,linear-probe",
        "--out",
        tmp_path / "t",
        *QUICK,
    )
    assert done.exit_code == 0, done.stderr
    rows = read(tmp_path / "t")
    assert rows["cca"]["map average"] == ""
    assert "exactly 2" in rows["cca"]["failed"]
    assert float(rows["linear-probe"]["map average"]) > 0.5
    assert json.loads((tmp_path / "t" / "table.json").read_text())["baseline"] == "linear-probe"
    assert "without cca: cca does not support" in done.stderr
    refused = call(
        "compare", tmp_path / "three.npz", "--methods", "cca", "--out", tmp_path / "u", *QUICK
    )
    assert refused.exit_code == 2
    assert "no method of the comparison has figures" in refused.stderr
    assert (tmp_path / "u" / "table.json").exists()


@pytest.mark.usefixtures("in_process_workers")
def test_eighty_columns_hold_every_digit(
    call: Call, points_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    words = ("--methods", "sm-probability,cca", "--protocol", "as-published", "--baseline", "cca")
    done = call("compare", points_file, *words, "--out", tmp_path / "t", *QUICK)
    assert done.exit_code == 0, done.stderr
    assert "…" not in done.stdout
    assert "sm-probability" in done.stdout
    row = read(tmp_path / "t")["sm-probability"]
    assert f"{float(row['low']):.3f}-{float(row['high']):.3f}" in done.stdout


@pytest.mark.usefixtures("in_process_workers")
def test_raw_items_are_extracted_first(call: Call, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    label = np.arange(90) % 3
    nouns = np.array([["red", "rose"], ["green", "leaf"], ["blue", "sea"]])
    image = draw.normal(size=(3, 5))[label] + 0.5 * draw.normal(size=(90, 5))
    table = {
        "image": image.tolist(),
        "text": [f"a {draw.choice(nouns[one])}" for one in label],
        "label": label.tolist(),
        "split": np.repeat(["train", "validation", "test"], 30).tolist(),
    }
    parquet.write_table(pyarrow.table(table), tmp_path / "raw.parquet")
    words = ("compare", tmp_path / "raw.parquet", "--methods", "linear-probe")
    refused = call(*words, "--out", tmp_path / "a", *QUICK)
    assert "raw" in refused.stderr
    done = call(*words, "--text", "textcnn", "--out", tmp_path / "b", *QUICK)
    assert done.exit_code == 0, done.stderr
    assert float(read(tmp_path / "b")["linear-probe"]["map average"]) > 0.5


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--methods", "sorcery"), "unknown method 'sorcery'"),
        (("--methods", "nowhere.py:Mine"), "nowhere.py cannot be loaded"),
        (("--methods", "cca", "--baseline", "sm"), "not among the methods"),
        (("--methods", ","), "no method to compare"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_the_work(
    call: Call, points_file: Path, tmp_path: Path, words: tuple[str, ...], problem: str
) -> None:
    done = call("compare", points_file, "--out", tmp_path / "t", *words)
    assert done.exit_code == 2
    assert problem in done.stderr
    assert not (tmp_path / "t").exists()


@pytest.mark.usefixtures("in_process_workers")
def test_settings_and_a_user_defined_loss_are_compared(
    call: Call, points_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(CENTER_LOSS)
    (tmp_path / "settings.toml").write_text("hidden_dim = 16\n[centerloss]\nmargin = 0.3\n")
    words = ["--methods", f"infonce,{tmp_path}/mine.py:CenterLoss", "--set", "embedding-dim=8"]
    words += ["--set", "infonce.temperature=0.1", "--config", str(tmp_path / "settings.toml")]
    table = tmp_path / "t"
    done = call("compare", points_file, *words, "--out", table, *QUICK)
    assert done.exit_code == 0, done.stderr
    assert list(read(table)) == ["infonce", "centerloss"]
    options = {
        name: json.loads((table / "runs" / name / "seed-00.json").read_text())["method"]["options"]
        for name in read(table)
    }
    for one in options.values():
        assert (one["hidden_dim"], one["embedding_dim"], one["epochs"]) == (16, 8, 2)
    assert options["infonce"]["temperature"] == 0.1
    assert options["centerloss"]["margin"] == 0.3
    refused = call("compare", points_file, *words, "--set", "eta=1", "--out", tmp_path / "u")
    assert refused.exit_code == 2
    assert "the comparison has no setting `eta`" in refused.stderr


def test_ctrl_c_says_how_to_go_on(points_file: Path, tmp_path: Path) -> None:
    table = tmp_path / "t"
    command = [sys.executable, "-m", "commonspace", "compare", str(points_file), "--methods"]
    command += ["linear-probe,dscmr", "--out", str(table), *map(str, QUICK), "--epochs", "100000"]
    process = subprocess.Popen(
        [*command, "--patience", "100000"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not list(table.glob("runs/dscmr/trial-00.work/*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process of the group
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"finished runs are in {table}" in stderr
    assert "continue with: commonspace compare" in stderr
    assert "Traceback" not in stderr
    assert (table / "runs" / "linear-probe" / "seed-00.json").exists()


def test_experiments_are_the_methods_with_defaults_and_parts_of_dscmr() -> None:
    rows = {row.name: row for row in make_experiments(["all"])}
    assert tuple(rows) == EXPERIMENTS
    assert rows["cca"].method == CCA()
    assert rows["dscmr"].method == DSCMR()
    assert rows["dscmr-official"].method == DSCMR(preset="official")
    for name in ABLATIONS:
        assert rows[name].tuned_as == "dscmr"
    assert rows["dscmr-j1-alone"].method == DSCMR(lam=0.0, eta=0.0)
    assert [row.name for row in make_experiments(["cca, sm", "cca"])] == ["cca", "sm"]
    with pytest.raises(SettingError, match="unknown method"):
        make_experiments(["cca", "all but one"])
