"""The whole benchmark, in worker processes: no run lost, none repeated, no process left."""

import fcntl
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from textwrap import dedent
from typing import Any, ClassVar

import numpy as np
import pytest

import commonspace as cs
from commonspace.callbacks import Callback, EpochRecord
from commonspace.comparison import (
    Benchmark,
    BenchmarkResult,
    Experiment,
    TuningBudget,
    make_experiments,
    read_benchmark,
    run_benchmark,
    workers,
)
from commonspace.data import Dataset
from commonspace.errors import DataError, OutputError, SettingError, SplitError, TrainingError
from commonspace.methods import CCA, DSCMR
from commonspace.methods.base.hyperparameters import Between, SearchSpace

TOY = Path(__file__).with_name("toy.py")
SMALL = TuningBudget(trials=3, epochs=2, patience=1)


def make_one(spec: str) -> Experiment:
    (experiment,) = make_experiments([spec])
    return experiment


def toy(name: str = "Toy", **settings: Any) -> Experiment:  # noqa: ANN401 - fields of the toy
    row = make_one(f"{TOY}:{name}")
    return replace(row, method=replace(row.method, **settings))  # type: ignore[type-var]


@dataclass(frozen=True)
class Fails:
    """A method with something to search and a mistake."""

    search_space: ClassVar[SearchSpace] = {"rate": Between(0.1, 1.0)}
    rate: float = 0.5

    def fit(self, train: Dataset, validation: Dataset, run: cs.RunConfig | None = None) -> Any:  # noqa: ANN401
        raise ZeroDivisionError


@dataclass
class Log(Callback):
    """A callback that remembers."""

    start: tuple[int, int] = (0, 0)
    tasks: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    steps: int = 0
    over: bool = False
    stop_after: int = 10**6

    def on_start(
        self,
        task: str,
        total: int | None = None,
        done: int = 0,
        history: Sequence[EpochRecord] = (),
    ) -> None:
        assert total is not None
        self.start = (total, done)

    def on_advance(self, steps: int = 1) -> None:
        self.steps += steps

    def on_message(self, text: str) -> None:
        if text.startswith("without "):
            self.lost.append(text.split()[1].rstrip(":"))
            return
        self.tasks.append(text.split()[0])
        if len(self.tasks) >= self.stop_after:
            raise KeyboardInterrupt

    def on_end(self) -> None:
        self.over = True


@pytest.fixture
def benchmark(feature_dataset: Dataset, tmp_path: Path) -> Callable[..., Benchmark]:
    def made(*rows: Experiment, **options: Any) -> Benchmark:  # noqa: ANN401 - fields of the benchmark
        folder = options.pop("folder", tmp_path / "benchmark")
        known = {"seeds": 2, "budget": SMALL, **options}
        return Benchmark(data=feature_dataset, experiments=rows, folder=folder, **known)

    return made


def figures(outcome: BenchmarkResult) -> dict[str, dict[int, Any]]:
    return {
        row: {seed: cell["average_precision"] for seed, cell in cells.items()}
        for row, cells in outcome.runs.items()
    }


def test_every_run_equals_a_direct_fit_with_the_tuned_settings(
    benchmark: Callable[..., Benchmark],
    feature_dataset: Dataset,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Several processes at once; a method that is refused or broken does not affect the others."""
    log = Log()
    mine = tmp_path / "toy.py"  # another file of the same name
    mine.write_text("print('loaded')\n" + TOY.read_text().replace("1 / 0", "exit('no licence')"))
    exits = replace(make_one(f"{mine}:Broken"), name="exits")
    half = Experiment("half", toy().method, "toy")
    rows = (toy(), toy("Picky"), Experiment("cca", CCA()), toy("Broken"), half, exits)
    outcome = run_benchmark(benchmark(*rows, jobs=2), [log])
    assert list(outcome.runs) == ["toy", "picky", "cca", "broken", "half", "exits"]
    assert {row: sorted(cells) for row, cells in outcome.runs.items()} == {
        "toy": [0, 1], "picky": [], "cca": [0], "broken": [], "half": [0, 1],
        "exits": [],
    }  # fmt: skip
    assert outcome.trials == {"toy": 3, "picky": 0, "cca": 0, "broken": 0, "half": 3, "exits": 0}
    best = outcome.settings["toy"]
    assert outcome.settings["half"] == best
    assert outcome.runs["half"][1]["map"] == outcome.runs["toy"][1]["map"]
    for seed, cell in outcome.runs["toy"].items():
        method = replace(toy().method, **best, seed=seed, epochs=2)  # type: ignore[type-var]
        space = method.fit(
            feature_dataset.split("train"),
            feature_dataset.split("validation"),
            cs.RunConfig(),
        )
        expected = cs.evaluate(space, feature_dataset.split("test"))
        for direction, value in cell["map"].items():
            assert value == pytest.approx(expected[direction]["map"], abs=1e-12)
    assert "nothing is good enough" in outcome.failed["picky"]
    assert "ZeroDivisionError" in outcome.failed["broken"]
    traceback = benchmark(toy()).folder / "runs" / "broken" / "error.txt"
    assert str(traceback) in outcome.failed["broken"]
    assert "1 / 0" in traceback.read_text()
    assert "SystemExit: no licence" in outcome.failed["exits"]
    assert set(outcome.failed) == {"picky", "broken", "exits"}
    assert log.start == (3 + 2 + 2 + 1 + 1 + 2 + 1, 0)
    assert sorted(log.lost) == ["broken", "exits", "picky"]
    assert log.steps == log.start[0]
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "loaded" in printed.err
    assert log.over


@pytest.mark.usefixtures("in_process_workers")
def test_a_stopped_benchmark_continues_and_gains_methods_and_seeds(
    benchmark: Callable[..., Benchmark], tmp_path: Path
) -> None:
    whole = run_benchmark(benchmark(toy(), folder=tmp_path / "whole"))
    log = Log(stop_after=2)
    with pytest.raises(KeyboardInterrupt):
        run_benchmark(benchmark(toy()), [log])
    assert log.over
    log = Log()
    so_far = read_benchmark(benchmark(toy()))
    assert so_far.trials["toy"] == 2
    assert so_far.runs["toy"] == {}
    outcome = run_benchmark(benchmark(toy()), [log])
    assert log.start[1] == 2
    assert log.start[1] + len(log.tasks) == log.start[0] == 5
    assert figures(outcome) == figures(whole) == figures(read_benchmark(benchmark(toy())))
    more = Log()
    outcome = run_benchmark(benchmark(toy(), Experiment("cca", CCA()), seeds=3), [more])
    assert sorted(more.tasks) == ["cca/seed-00", "toy/seed-02"]
    idle = Log()
    assert figures(
        run_benchmark(benchmark(toy(), Experiment("cca", CCA()), seeds=3), [idle])
    ) == figures(outcome)
    assert idle.tasks == []


def test_after_a_kill_it_continues_and_leaves_no_process(
    tmp_path: Path,
) -> None:
    """SIGKILL for the parent only: the children end too, and no half-written record is read."""
    script = tmp_path / "go.py"
    script.write_text(
        dedent(f"""
        import sys
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parents[1])!r})
        from conftest import features_data
        from commonspace.comparison import Benchmark, TuningBudget, make_experiments, run_benchmark
        from dataclasses import replace
        if __name__ == "__main__":
            (row,) = make_experiments([{f"{TOY}:Toy"!r}])
            row = replace(row, method=replace(row.method, sleep=0.3))
            budget = TuningBudget(trials=3, epochs=2, patience=1)
            run_benchmark(Benchmark(features_data({{"image": 6, "text": 5}}), (row,),
                Path({str(tmp_path / "benchmark")!r}), 2, budget))
        """)
    )
    parent = subprocess.Popen([sys.executable, str(script)], start_new_session=True)
    cells = tmp_path / "benchmark" / "runs" / "toy"
    deadline = time.monotonic() + 120
    while not (cells / "trial-00.json").exists():
        assert parent.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while _alive(parent.pid):
        assert time.monotonic() < deadline, "a child is alive after its parent"
        time.sleep(0.05)
    for cell in cells.glob("*.json"):
        json.loads(cell.read_text())


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_killed_worker_is_reported(benchmark: Callable[..., Benchmark]) -> None:
    @dataclass
    class Murderer(Log):
        def on_status(self, text: str) -> None:
            for child in multiprocessing.active_children():
                child.kill()

    with pytest.raises(TrainingError, match="ended unexpectedly") as caught:
        run_benchmark(benchmark(toy(sleep=5.0)), [Murderer()])
    assert "--jobs" in caught.value.advice


@pytest.mark.usefixtures("in_process_workers")
def test_tuning_does_not_depend_on_the_test_split(
    benchmark: Callable[..., Benchmark], feature_dataset: Dataset, tmp_path: Path
) -> None:
    """With the labels of the test split shuffled, the trials and the choice are the same."""
    rows = (toy(), Experiment("dscmr", DSCMR(hidden_dim=8, embedding_dim=4)))
    clean = run_benchmark(benchmark(*rows))
    shuffled = feature_dataset.labels.copy()
    test = np.flatnonzero(feature_dataset.splits == "test")
    shuffled[test] = shuffled[np.random.default_rng(1).permutation(test)]
    poisoned = replace(feature_dataset, labels=shuffled)
    outcome = run_benchmark(replace(benchmark(*rows, folder=tmp_path / "other"), data=poisoned))
    assert outcome.settings == clean.settings
    for row in ("toy", "dscmr"):
        assert outcome.runs[row][0]["method"] == clean.runs[row][0]["method"]
        assert outcome.runs[row][0]["validation_map"] == clean.runs[row][0]["validation_map"]
        assert outcome.runs[row][0]["map"] != clean.runs[row][0]["map"]


@pytest.mark.usefixtures("in_process_workers")
def test_an_experiment_continues_without_diverged_trials(
    benchmark: Callable[..., Benchmark], tmp_path: Path
) -> None:
    outcome = run_benchmark(benchmark(toy(diverges_above=2.0)))
    assert len(outcome.runs["toy"]) == 2
    assert outcome.settings["toy"]["noise"] <= 2.0
    always = run_benchmark(benchmark(toy(diverges_above=0.0), folder=tmp_path / "always"))
    assert always.runs["toy"] == {}
    assert "too much noise" in always.failed["toy"]
    assert always.trials["toy"] == 3


@pytest.mark.usefixtures("in_process_workers")
def test_an_ablation_is_dropped_with_its_base_method(
    benchmark: Callable[..., Benchmark],
) -> None:
    """Every announced run is done or dropped, each method once."""
    log = Log()
    searched = replace(toy("Broken"), name="main", method=Fails())
    outcome = run_benchmark(benchmark(searched, Experiment("part", Fails(), "main")), [log])
    assert "settings of main" in outcome.failed["part"]
    assert sorted(log.lost) == ["main", "part"]
    assert log.steps == log.start[0]


@pytest.mark.usefixtures("in_process_workers")
def test_a_method_that_was_edited_is_measured_again(
    benchmark: Callable[..., Benchmark], tmp_path: Path
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(TOY.read_text())
    first = run_benchmark(benchmark(make_one(f"{file}:Toy"), budget=TuningBudget(1, 2, 1)))
    same = Log()
    run_benchmark(benchmark(make_one(f"{file}:Toy"), budget=TuningBudget(1, 2, 1)), [same])
    assert same.tasks == []
    file.write_text(TOY.read_text().replace("blur = self.noise", "blur = 0 * self.noise"))
    log = Log()
    second = run_benchmark(benchmark(make_one(f"{file}:Toy"), budget=TuningBudget(1, 2, 1)), [log])
    assert len(log.tasks) == 2
    assert figures(first) != figures(second)


@pytest.mark.usefixtures("in_process_workers")
def test_runs_without_a_record_of_their_data_are_not_reused(
    benchmark: Callable[..., Benchmark],
) -> None:
    with pytest.raises(SettingError, match="has no record of what was compared"):
        read_benchmark(benchmark(Experiment("cca", CCA())))
    run_benchmark(benchmark(Experiment("cca", CCA())))
    record = benchmark(Experiment("cca", CCA())).folder / "benchmark.json"
    for damage in ("[]", '{"data": ', None):
        record.write_text(damage) if damage else record.unlink()
        for act in (run_benchmark, read_benchmark):
            with pytest.raises(SettingError, match="has no record of what was compared"):
                act(benchmark(Experiment("cca", CCA())))


@pytest.mark.parametrize("damage", ["", "{", '{"method": {}}', "[1]", "\x00\xff"])
@pytest.mark.usefixtures("in_process_workers")
def test_a_damaged_record_is_replaced(benchmark: Callable[..., Benchmark], damage: str) -> None:
    whole = run_benchmark(benchmark(Experiment("cca", CCA())))
    cell = benchmark(Experiment("cca", CCA())).folder / "runs" / "cca" / "seed-00.json"
    cell.write_text(damage, "latin-1")
    log = Log()
    assert figures(run_benchmark(benchmark(Experiment("cca", CCA())), [log])) == figures(whole)
    assert log.tasks == ["cca/seed-00"]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"budget": TuningBudget(4, 2, 1)}, "trials 4 in place of 3"),
        ({"protocol": "as-published"}, "protocol 'as-published' in place of 'validation'"),
    ],
)
@pytest.mark.usefixtures("in_process_workers")
def test_another_benchmark_is_not_mixed_in(
    benchmark: Callable[..., Benchmark], change: dict[str, Any], found: str
) -> None:
    run_benchmark(benchmark(Experiment("cca", CCA())))
    with pytest.raises(SettingError, match="holds another comparison") as caught:
        run_benchmark(benchmark(Experiment("cca", CCA()), **change))
    assert caught.value.found == found


def test_a_folder_is_for_one_process_at_a_time(benchmark: Callable[..., Benchmark]) -> None:
    folder = benchmark(toy()).folder
    folder.mkdir()
    with (folder / ".lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match="is in use"):
            run_benchmark(benchmark(toy()))


def test_ctrl_c_does_not_reach_a_worker_that_is_only_starting() -> None:
    """A terminal sends it to the whole process group; a starting child would print a traceback."""
    held = []

    class Pool:
        def submit(self, *_: object) -> None:
            held.append(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))

    workers._Processes(Pool()).submit(None)  # type: ignore[arg-type]
    assert held == [True]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_what_cannot_be_compared_is_refused(
    benchmark: Callable[..., Benchmark], feature_dataset: Dataset, raw_dataset: Dataset
) -> None:
    for rows, options, problem in (
        ((), {}, "no method to compare"),
        ((toy(), toy()), {}, "the same name"),
        ((toy(),), {"seeds": 0}, "`seeds` must be >= 1"),
        ((toy(),), {"jobs": -1}, "`jobs` must be >= 0"),
    ):
        with pytest.raises(SettingError, match=problem):
            benchmark(*rows, **options)
    with pytest.raises(DataError, match="features only"):
        Benchmark(raw_dataset, (toy(),), benchmark(toy()).folder, protocol="as-published")
    bare = feature_dataset.take(feature_dataset.splits != "validation")
    with pytest.raises(SplitError, match="validation"):
        run_benchmark(replace(benchmark(toy()), data=bare))
