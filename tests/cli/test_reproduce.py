"""``commonspace reproduce`` on a miniature of a benchmark, and what it says without the data."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from typer.testing import Result

import commonspace as cs
from commonspace.comparison.published import BENCHMARKS

Call = Callable[..., Result]


@pytest.fixture(scope="module")
def pascal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of feature files as the released code has them."""
    folder, draw = tmp_path_factory.mktemp("data") / "pascal", np.random.default_rng(0)
    folder.mkdir()
    centres = {"img": draw.normal(size=(4, 8)), "txt": draw.normal(size=(4, 6))}
    for split, count in (("train", 60), ("test", 20)):
        label = np.arange(count) % 4
        for name, centre in centres.items():
            values = centre[label] + 0.5 * draw.normal(size=(count, centre.shape[1]))
            savemat(folder / f"{split}_{name}.mat", {f"{split}_{name}": values})
        savemat(folder / f"{split}_img_lab.mat", {f"{split}_img_lab": label[None] + 1})
    return folder


def test_the_tables_stand_beside_the_published_figures(
    call: Call, pascal: Path, tmp_path: Path
) -> None:
    table = tmp_path / "tables"
    words = ("--data", pascal, "--out", table, "--seeds", 2, "--epochs", 2, "--jobs", 2)
    done = call("reproduce", "pascal", *words, "--no-figures")
    assert done.exit_code == 0, done.stderr
    page = (table / "reproduction.md").read_text()
    rows = [
        [cell.strip() for cell in one.split("|")[1:-1]]
        for one in page.splitlines()
        if one.startswith("|")
    ]
    shown = {row[0]: row for row in rows}
    with (table / "table.csv").open(newline="") as file:
        measured = {row["method"]: row for row in csv.DictReader(file)}
    average = float(measured["dscmr"]["map average"])
    assert shown["DSCMR"][1] == f"{average:.3f}"
    assert shown["DSCMR"][4:] == ["0.716", f"{average - 0.716:+.3f}", "", ""]
    difference = float(measured["cca"]["difference"])
    assert shown["CCA"][6].rstrip("*") == f"{difference:+.3f}"
    assert shown["CCA"][6].endswith("*") == (float(measured["cca"]["p corrected"]) < 0.05)
    best = float(measured["dscmr"]["best on test"])
    assert shown["DSCMR"][3] == f"{best:.3f}"
    assert best >= average - 1e-9
    assert shown["DSCMR without J3"][4] == "0.687"
    assert shown["CCL"][1] == f"{float(measured['ccl']['map average']):.3f}"
    assert "Known differences" in page
    with (table / "reproduction.csv").open(newline="") as file:
        assert [list(row.values()) for row in csv.DictReader(file)] == rows[2:]
    latex = (table / "reproduction.tex").read_text()
    assert "\\toprule" in latex
    assert latex.count("\\\\") == len(rows) - 1
    for name in ("classes", "class-ranks"):
        assert (table / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (table / f"{name}.pdf").exists()
    assert "It is not a result" in page
    assert "8-d" in done.stdout
    assert "4096-d" in done.stdout
    assert measured["dscmr"]["trials"] == "0"


def test_the_figures_of_the_paper_are_drawn_and_an_earlier_reproduction_continues(
    call: Call, pascal: Path, tmp_path: Path
) -> None:
    table = tmp_path / "tables"
    words = ("--data", pascal, "--out", table, "--seeds", 1, "--epochs", 2, "--jobs", 2)
    done = call("reproduce", "pascal", *words, "--no-figures", "--set", "dscmr.hidden_dim=8")
    assert done.exit_code == 0, done.stderr
    assert not (table / "dscmr-run").exists()
    before = {path: path.stat().st_mtime_ns for path in table.glob("runs/*/seed-00.json")}

    done = call("reproduce", "--from", table, "--figures", "--jobs", 2)
    assert done.exit_code == 0, done.stderr
    assert before
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    surface = json.loads((table / "dscmr-run" / "sensitivity.json").read_text())
    assert np.array(surface["map"], dtype=float).shape == (5, 5)
    space = cs.load(table / "dscmr-run")
    assert space.provenance["method"]["options"]["hidden_dim"] == 8
    assert space.provenance["chosen"]["epochs"] == 2
    page, appendix = ((table / name).read_text() for name in ("reproduction.md", "appendix.tex"))
    for name in ("common-space", "learning-curves", "sensitivity"):
        path = f"dscmr-run/report/{name}"
        assert f"]({path}.png)" in page
        assert f"{{{path}.pdf}}" in appendix
        assert (table / f"{path}.png").read_bytes().startswith(b"\x89PNG")
        assert (table / f"{path}.pdf").read_bytes().startswith(b"%PDF")
    assert "\\input{reproduction}" in appendix

    done = call("reproduce", "--from", table, "--seeds", 2, "--no-figures", "--jobs", 2)
    assert done.exit_code == 0, done.stderr
    assert (table / "runs" / "dscmr" / "seed-01.json").exists()
    record = json.loads((table / "options.json").read_text())
    assert (record["seeds"], record["epochs"], record["figures"]) == (2, 2, False)


def test_a_folder_without_a_reproduction_cannot_be_continued(call: Call, tmp_path: Path) -> None:
    done = call("reproduce", "--from", tmp_path)
    assert done.exit_code == 2
    assert "options.json cannot be read" in done.stderr
    done = call("reproduce")
    assert done.exit_code == 2
    assert "needs the name of a benchmark" in done.stderr


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_without_the_data_it_says_what_to_get_and_where_to_put_it(
    call: Call, benchmark: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call("reproduce", benchmark)
    assert done.exit_code == 2
    assert f"no copy of {benchmark} in data/{benchmark}" in done.stderr
    page = f"docs/benchmarks/{benchmark}.md"
    assert page in done.stderr
    assert (Path(__file__).parents[2] / page).exists()
    assert list(tmp_path.iterdir()) == []
