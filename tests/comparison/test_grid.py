"""The whole grid, on other processes: nothing lost, nothing done twice, nothing left behind."""

import fcntl
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from textwrap import dedent
from typing import Any, ClassVar

import numpy as np
import pytest

import commonspace as cs
from commonspace.comparison import Budget, Grid, Row, read_grid, row_from_file, run_grid, workers
from commonspace.comparison.cells import Record
from commonspace.comparison.grid import Outcome
from commonspace.data import Dataset
from commonspace.errors import DataError, OutputError, SettingError, SplitError, TrainingError
from commonspace.methods import CCA, DSCMR
from commonspace.methods.base.hyperparameters import Between, SearchSpace

TOY = Path(__file__).with_name("toy.py")
SMALL = Budget(trials=3, epochs=2, patience=1)


def toy(name: str = "Toy", **settings: Any) -> Row:  # noqa: ANN401 - fields of the toy
    row = row_from_file(f"{TOY}:{name}")
    return replace(row, method=replace(row.method, **settings))  # type: ignore[type-var]


@dataclass(frozen=True)
class Fails:
    """A method with something to search and a mistake."""

    search_space: ClassVar[SearchSpace] = {"rate": Between(0.1, 1.0)}
    rate: float = 0.5

    def fit(self, train: Dataset, validation: Dataset, run: cs.Run | None = None) -> Any:  # noqa: ANN401
        raise ZeroDivisionError


@dataclass
class Log:
    """A watcher that remembers."""

    begun: tuple[int, int] = (0, 0)
    tasks: list[str] = field(default_factory=list)
    lost: list[tuple[str, int]] = field(default_factory=list)
    over: bool = False
    stop_after: int = 10**6

    def started(self, cells: int, done: int) -> None:
        self.begun = (cells, done)

    def running(self, tasks: tuple[str, ...]) -> None: ...

    def finished(self, task: str, record: Record | None) -> None:
        self.tasks.append(task)
        if len(self.tasks) >= self.stop_after:
            raise KeyboardInterrupt

    def dropped(self, row: str, cells: int, reason: str) -> None:
        self.lost.append((row, cells))

    def ended(self) -> None:
        self.over = True


@pytest.fixture
def grid(feature_dataset: Dataset, tmp_path: Path) -> Callable[..., Grid]:
    def made(*rows: Row, **options: Any) -> Grid:  # noqa: ANN401 - fields of the grid
        folder = options.pop("folder", tmp_path / "grid")
        known = {"seeds": 2, "budget": SMALL, **options}
        return Grid(data=feature_dataset, rows=rows, folder=folder, **known)

    return made


def figures(outcome: Outcome) -> dict[str, dict[int, Any]]:
    return {
        row: {seed: cell["average_precision"] for seed, cell in cells.items()}
        for row, cells in outcome.cells.items()
    }


def test_every_cell_is_what_a_direct_fit_with_the_chosen_settings_gives(
    grid: Callable[..., Grid],
    feature_dataset: Dataset,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Several processes at once; a row that is refused, and one that is broken, hinder nobody."""
    log = Log()
    mine = tmp_path / "toy.py"  # another file of the same name
    mine.write_text("print('loaded')\n" + TOY.read_text().replace("1 / 0", "exit('no licence')"))
    exits = replace(row_from_file(f"{mine}:Broken"), name="exits")
    half = Row("half", toy().method, "toy")
    rows = (toy(), toy("Picky"), Row("cca", CCA()), toy("Broken"), half, exits)
    outcome = run_grid(grid(*rows, jobs=2), log)
    assert list(outcome.cells) == ["toy", "picky", "cca", "broken", "half", "exits"]
    assert {row: sorted(cells) for row, cells in outcome.cells.items()} == {
        "toy": [0, 1], "picky": [], "cca": [0], "broken": [], "half": [0, 1],
        "exits": [],
    }  # fmt: skip
    assert outcome.trials == {"toy": 3, "picky": 0, "cca": 0, "broken": 0, "half": 3, "exits": 0}
    best = outcome.settings["toy"]
    assert outcome.settings["half"] == best
    assert outcome.cells["half"][1]["map"] == outcome.cells["toy"][1]["map"]
    for seed, cell in outcome.cells["toy"].items():
        method = replace(toy().method, **best, seed=seed, epochs=2)  # type: ignore[type-var]
        space = method.fit(
            feature_dataset.split("train"),
            feature_dataset.split("validation"),
            cs.Run(observers=()),
        )
        expected = cs.evaluate(space, feature_dataset.split("test"))
        for direction, value in cell["map"].items():
            assert value == pytest.approx(expected[direction]["map"], abs=1e-12)
    assert "nothing is good enough" in outcome.failed["picky"]
    assert "ZeroDivisionError" in outcome.failed["broken"]
    traceback = grid(toy()).folder / "cells" / "broken" / "error.txt"
    assert str(traceback) in outcome.failed["broken"]
    assert "1 / 0" in traceback.read_text()
    assert "SystemExit: no licence" in outcome.failed["exits"]
    assert set(outcome.failed) == {"picky", "broken", "exits"}
    assert log.begun == (3 + 2 + 2 + 1 + 1 + 2 + 1, 0)
    assert sorted(log.lost) == [("broken", 0), ("exits", 0), ("picky", 1)]
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "loaded" in printed.err
    assert log.over


@pytest.mark.usefixtures("in_process_workers")
def test_a_stopped_grid_goes_on_and_gains_rows_and_seeds(
    grid: Callable[..., Grid], tmp_path: Path
) -> None:
    whole = run_grid(grid(toy(), folder=tmp_path / "whole"))
    log = Log(stop_after=2)
    with pytest.raises(KeyboardInterrupt):
        run_grid(grid(toy()), log)
    assert log.over
    log = Log()
    so_far = read_grid(grid(toy()))
    assert so_far.trials["toy"] == 2
    assert so_far.cells["toy"] == {}
    outcome = run_grid(grid(toy()), log)
    assert log.begun[1] == 2
    assert log.begun[1] + len(log.tasks) == log.begun[0] == 5
    assert figures(outcome) == figures(whole) == figures(read_grid(grid(toy())))
    more = Log()
    outcome = run_grid(grid(toy(), Row("cca", CCA()), seeds=3), more)
    assert sorted(more.tasks) == ["cca/seed-00", "toy/seed-02"]
    idle = Log()
    assert figures(run_grid(grid(toy(), Row("cca", CCA()), seeds=3), idle)) == figures(outcome)
    assert idle.tasks == []


def test_killed_outright_it_goes_on_and_leaves_no_process(
    tmp_path: Path,
) -> None:
    """SIGKILL for the parent alone: the children end by themselves, and no half cell is taken."""
    script = tmp_path / "go.py"
    script.write_text(
        dedent(f"""
        import sys
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parents[1])!r})
        from conftest import features_data
        from commonspace.comparison import Budget, Grid, row_from_file, run_grid
        from dataclasses import replace
        if __name__ == "__main__":
            row = row_from_file({f"{TOY}:Toy"!r})
            row = replace(row, method=replace(row.method, sleep=0.3))
            budget = Budget(trials=3, epochs=2, patience=1)
            run_grid(Grid(features_data({{"image": 6, "text": 5}}), (row,),
                Path({str(tmp_path / "grid")!r}), 2, budget))
        """)
    )
    parent = subprocess.Popen([sys.executable, str(script)], start_new_session=True)
    cells = tmp_path / "grid" / "cells" / "toy"
    deadline = time.monotonic() + 120
    while not (cells / "trial-00.json").exists():
        assert parent.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while _alive(parent.pid):
        assert time.monotonic() < deadline, "a child outlived its parent"
        time.sleep(0.05)
    for cell in cells.glob("*.json"):
        json.loads(cell.read_text())


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_worker_that_is_killed_is_told_of(grid: Callable[..., Grid]) -> None:
    @dataclass
    class Murderer(Log):
        def running(self, tasks: tuple[str, ...]) -> None:
            for child in multiprocessing.active_children():
                child.kill()

    with pytest.raises(TrainingError, match="ended unexpectedly") as caught:
        run_grid(grid(toy(sleep=5.0)), Murderer())
    assert "--jobs" in caught.value.advice


@pytest.mark.usefixtures("in_process_workers")
def test_the_choice_does_not_depend_on_the_test_part(
    grid: Callable[..., Grid], feature_dataset: Dataset, tmp_path: Path
) -> None:
    """With the labels of the test part shuffled, the same is tried and the same is chosen."""
    rows = (toy(), Row("dscmr", DSCMR(hidden_dim=8, embedding_dim=4)))
    clean = run_grid(grid(*rows))
    shuffled = feature_dataset.labels.copy()
    test = np.flatnonzero(feature_dataset.splits == "test")
    shuffled[test] = shuffled[np.random.default_rng(1).permutation(test)]
    poisoned = replace(feature_dataset, labels=shuffled)
    outcome = run_grid(replace(grid(*rows, folder=tmp_path / "other"), data=poisoned))
    assert outcome.settings == clean.settings
    for row in ("toy", "dscmr"):
        assert outcome.cells[row][0]["method"] == clean.cells[row][0]["method"]
        assert outcome.cells[row][0]["validation_map"] == clean.cells[row][0]["validation_map"]
        assert outcome.cells[row][0]["map"] != clean.cells[row][0]["map"]


@pytest.mark.usefixtures("in_process_workers")
def test_where_trials_diverge_the_row_goes_on_without_them(
    grid: Callable[..., Grid], tmp_path: Path
) -> None:
    outcome = run_grid(grid(toy(diverges_above=2.0)))
    assert len(outcome.cells["toy"]) == 2
    assert outcome.settings["toy"]["noise"] <= 2.0
    always = run_grid(grid(toy(diverges_above=0.0), folder=tmp_path / "always"))
    assert always.cells["toy"] == {}
    assert "too much noise" in always.failed["toy"]
    assert always.trials["toy"] == 3


@pytest.mark.usefixtures("in_process_workers")
def test_what_takes_the_settings_of_a_refused_row_is_dropped_with_it(
    grid: Callable[..., Grid],
) -> None:
    """Every cell that was announced is done or dropped, each row once."""
    log = Log()
    searched = replace(toy("Broken"), name="main", method=Fails())
    outcome = run_grid(grid(searched, Row("part", Fails(), "main")), log)
    assert "settings of main" in outcome.failed["part"]
    assert sorted(row for row, _ in log.lost) == ["main", "part"]
    assert len(log.tasks) + sum(cells for _, cells in log.lost) == log.begun[0]


@pytest.mark.usefixtures("in_process_workers")
def test_a_method_that_was_edited_is_measured_again(
    grid: Callable[..., Grid], tmp_path: Path
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(TOY.read_text())
    first = run_grid(grid(row_from_file(f"{file}:Toy"), budget=Budget(1, 2, 1)))
    same = Log()
    run_grid(grid(row_from_file(f"{file}:Toy"), budget=Budget(1, 2, 1)), same)
    assert same.tasks == []
    file.write_text(TOY.read_text().replace("blur = self.noise", "blur = 0 * self.noise"))
    log = Log()
    second = run_grid(grid(row_from_file(f"{file}:Toy"), budget=Budget(1, 2, 1)), log)
    assert len(log.tasks) == 2
    assert figures(first) != figures(second)


@pytest.mark.usefixtures("in_process_workers")
def test_cells_without_a_record_of_their_data_are_not_taken_over(
    grid: Callable[..., Grid],
) -> None:
    with pytest.raises(SettingError, match="does not say what was compared"):
        read_grid(grid(Row("cca", CCA())))
    run_grid(grid(Row("cca", CCA())))
    record = grid(Row("cca", CCA())).folder / "grid.json"
    for damage in ("[]", '{"data": ', None):
        record.write_text(damage) if damage else record.unlink()
        for act in (run_grid, read_grid):
            with pytest.raises(SettingError, match="does not say what was compared"):
                act(grid(Row("cca", CCA())))


@pytest.mark.parametrize("damage", ["", "{", '{"method": {}}', "[1]", "\x00\xff"])
@pytest.mark.usefixtures("in_process_workers")
def test_a_damaged_cell_is_done_again(grid: Callable[..., Grid], damage: str) -> None:
    whole = run_grid(grid(Row("cca", CCA())))
    cell = grid(Row("cca", CCA())).folder / "cells" / "cca" / "seed-00.json"
    cell.write_text(damage, "latin-1")
    log = Log()
    assert figures(run_grid(grid(Row("cca", CCA())), log)) == figures(whole)
    assert log.tasks == ["cca/seed-00"]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"budget": Budget(4, 2, 1)}, "budget"),
        ({"protocol": "as-published"}, "protocol"),
    ],
)
@pytest.mark.usefixtures("in_process_workers")
def test_another_grid_is_not_mixed_in(
    grid: Callable[..., Grid], change: dict[str, Any], name: str
) -> None:
    run_grid(grid(Row("cca", CCA())))
    with pytest.raises(SettingError, match="holds another comparison") as caught:
        run_grid(grid(Row("cca", CCA()), **change))
    assert caught.value.found == f"another {name}"


def test_a_folder_is_for_one_process_at_a_time(grid: Callable[..., Grid]) -> None:
    folder = grid(toy()).folder
    folder.mkdir()
    with (folder / ".lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match="is in use"):
            run_grid(grid(toy()))


def test_ctrl_c_does_not_reach_a_worker_that_is_only_starting() -> None:
    """It comes to the whole group of a terminal; a child that just begins would print its end."""
    held = []

    class Pool:
        def submit(self, *_: object) -> None:
            held.append(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))

    workers.submit(Pool(), None)  # type: ignore[arg-type]
    assert held == [True]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_what_cannot_be_compared_is_refused(
    grid: Callable[..., Grid], feature_dataset: Dataset, raw_dataset: Dataset
) -> None:
    for rows, options in (((), {}), ((toy(), toy()), {}), ((toy(),), {"seeds": 0})):
        with pytest.raises(SettingError, match="cannot be run"):
            grid(*rows, **options)
    with pytest.raises(DataError, match="features alone"):
        Grid(raw_dataset, (toy(),), grid(toy()).folder, protocol="as-published")
    bare = feature_dataset.take(feature_dataset.splits != "validation")
    with pytest.raises(SplitError, match="validation"):
        run_grid(replace(grid(toy()), data=bare))
