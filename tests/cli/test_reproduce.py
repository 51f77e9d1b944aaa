"""``commonspace reproduce`` on a miniature of a benchmark, and what it says without the data."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from typer.testing import Result

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
    done = call("reproduce", "pascal", *words)
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
    assert shown["DSCMR"][4:] == ["0.716", f"{average - 0.716:+.3f}"]
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
