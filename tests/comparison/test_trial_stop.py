"""Trials that are stopped, and the best trial as seed 0, with the same table as without."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

import commonspace as cs
from commonspace.comparison import (
    Benchmark,
    BenchmarkResult,
    Experiment,
    TuningBudget,
    run_benchmark,
    runs,
    trial_stop,
)
from commonspace.comparison.trial_stop import is_behind
from commonspace.data import Dataset
from commonspace.errors import SettingError
from commonspace.methods import SupervisedContrastive
from commonspace.methods.base.gradient import TrainingData
from commonspace.methods.base.hyperparameters import OneOf, SearchSpace
from commonspace.networks.branches import BranchesConfig, BranchesNetwork
from commonspace.training import loop

BUDGET = TuningBudget(trials=5, epochs=5, patience=5)

CURVES = {
    "leader": [0.1] * 4 + [0.5] * 11 + [0.8] * 14 + [0.95] * 16,
    "never learns": [0.1] * 45,
    "no progress": [0.5] * 45,
    "late fall": [0.45] * 12 + [0.75] * 3 + [0.1] * 30,
    "near": [0.45] * 15 + [0.78] * 14 + [0.9] * 16,
}
STOPPED = {"leader": None, "never learns": 10, "no progress": 20, "late fall": 40, "near": None}
"""Epoch after which a trial of each curve is stopped where the leader was before it."""


class Prescribed(cs.GradientMethod):
    """A method with a prescribed validation curve."""

    search_space: ClassVar[SearchSpace] = {"curve": OneOf(tuple(CURVES))}
    curve: str = "leader"
    hidden_dim: int = 4
    embedding_dim: int = 2

    def loss(self, embeddings: dict[str, Tensor], labels: Tensor) -> Tensor:
        """Return a loss that depends on the weights."""
        return torch.stack([z[:, 0].mean() for z in embeddings.values()]).sum()

    def scorer(self, data: TrainingData) -> Callable[[nn.Module], float]:
        """Return the next prescribed value in each epoch."""
        values = iter(CURVES[self.curve])
        return lambda network: next(values)


class Rates(SupervisedContrastive):
    """A method with a useful and a useless learning rate, which counts its fits and epochs."""

    search_space: ClassVar[SearchSpace] = {
        "learning_rate": OneOf((1e-7, 0.1)),
        "temperature": OneOf((0.1, 0.2)),
    }
    learning_rate: float = 0.03
    hidden_dim: int = 16
    embedding_dim: int = 4
    batch_size: int = 20
    fits: ClassVar[list[float]] = []
    epochs_left: ClassVar[int] = 10**9

    def build_network(self, data: TrainingData) -> nn.Module:
        """Count the fit."""
        self.fits.append(self.learning_rate)
        return super().build_network(data)

    def after_epoch(self, network: nn.Module, data: TrainingData) -> None:
        """Interrupt the process after a number of epochs."""
        Rates.epochs_left -= 1
        if Rates.epochs_left == 0:
            raise KeyboardInterrupt


class Unsaved(Rates):
    """The same with a network that cannot be loaded without its class."""

    def build_network(self, data: TrainingData) -> nn.Module:
        """Return a network of a class of this file."""
        super().build_network(data)
        return _Branches(
            BranchesConfig(
                data.backbones, hidden_dim=self.hidden_dim, embedding_dim=self.embedding_dim
            )
        )


class _Branches(BranchesNetwork):
    pass


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rates, "fits", [])
    monkeypatch.setattr(Rates, "epochs_left", 10**9)


@pytest.fixture
def _early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop trials after epoch 3, so that a few epochs are enough for a test."""
    monkeypatch.setattr(trial_stop, "EPOCHS", (3,))


@pytest.fixture
def run(feature_dataset: Dataset, tmp_path: Path) -> Callable[..., BenchmarkResult]:
    def run(method: Any, folder: str, budget: TuningBudget = BUDGET, **options: Any) -> Any:  # noqa: ANN401
        experiment = Experiment("m", method)
        place = tmp_path / folder
        return run_benchmark(
            Benchmark(feature_dataset, (experiment,), place, 2, budget, jobs=0, **options)
        )

    return run


def records(folder: Path) -> dict[str, Any]:
    """Return the records of a folder without their times."""
    found = {}
    for path in sorted((folder / "runs" / "m").iterdir()):
        record = json.loads(path.read_text())
        record["chosen"].pop("seconds")
        found[path.stem] = {
            key: value for key, value in record.items() if key not in ("seconds", "cpu_seconds")
        }
    return found


def trials(folder: Path) -> list[dict[str, Any]]:
    return [one for name, one in records(folder).items() if name.startswith("trial")]


@pytest.mark.parametrize("curve", CURVES)
def test_where_a_trial_is_stopped(curve: str) -> None:
    """The best so far counts, in the trial and in the best of the earlier ones."""
    leader, other = CURVES["leader"], [0.45] * 5
    for rivals in ([leader], [leader[:30]], [other, leader], [leader, other]):
        ends = [n for n in range(1, 46) if is_behind(CURVES[curve][:n], rivals)]
        assert ends[:1] == [one for one in [STOPPED[curve]] if one]
    assert not any(is_behind(CURVES[curve][:n], []) for n in range(1, 46))
    assert all(is_behind([0.1] * n, [[0.94] * 2]) == (n in (10, 20, 40)) for n in range(1, 101))


@pytest.mark.slow
def test_stopped_trials_are_recorded_with_their_curve_so_far(
    run: Callable[..., BenchmarkResult], tmp_path: Path
) -> None:
    """Each trial of prescribed curves, of which the defaults have the best."""
    many = TuningBudget(trials=9, epochs=45, patience=45)
    run(Prescribed(), "stop", many)
    found = trials(tmp_path / "stop")
    assert {one["settings"].get("curve", "leader") for one in found} == set(CURVES)
    for one in found:
        curve = CURVES[one["settings"].get("curve", "leader")]
        end = STOPPED[one["settings"].get("curve", "leader")]
        assert one.get("stopped") == end
        assert one["curve"] == curve[:end]
    run(Prescribed(), "full", replace(many, full_trials=True))
    assert [len(one["curve"]) for one in trials(tmp_path / "full")] == [45] * 9


@pytest.mark.usefixtures("_early")
def test_settings_and_figures_are_those_of_full_trials(
    run: Callable[..., BenchmarkResult], tmp_path: Path
) -> None:
    stopped = run(Rates(), "stop")
    full = run(Rates(), "full", replace(BUDGET, full_trials=True))
    assert stopped.settings == full.settings
    assert stopped.runs["m"][1]["map"] == full.runs["m"][1]["map"]
    found = trials(tmp_path / "stop")
    useless = [one for one in found if one["settings"].get("learning_rate") == 1e-7]
    assert useless
    assert all(one["stopped"] == 3 for one in useless)
    assert all("stopped" not in one for one in trials(tmp_path / "full"))


@pytest.mark.usefixtures("_early")
def test_an_interrupted_comparison_gives_the_same_records(
    run: Callable[..., BenchmarkResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five times, before and after the epoch after which trials are stopped."""
    monkeypatch.setattr(loop, "CHECKPOINT_SHARE", 1e9)  # a checkpoint in each epoch
    run(Rates(), "whole")
    for epochs in (3, 5, 3, 3, 4):
        Rates.epochs_left = epochs
        with pytest.raises(KeyboardInterrupt):
            run(Rates(), "cut")
    Rates.epochs_left = 10**9
    run(Rates(), "cut")
    assert records(tmp_path / "cut") == records(tmp_path / "whole")
    assert any("stopped" in one for one in trials(tmp_path / "cut"))


def test_the_best_trial_is_evaluated_as_seed_0(
    run: Callable[..., BenchmarkResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table is that of a second fit, and no space is left."""
    once = run(Rates(), "once")
    assert len(Rates.fits) == BUDGET.trials + 1
    best = records(tmp_path / "once")["seed-00"].pop("fit_of")
    spent = json.loads((tmp_path / "once" / "runs" / "m" / f"{best}.json").read_text())
    assert once.runs["m"][0]["cpu_seconds"] == spent["cpu_seconds"] > 0
    monkeypatch.setattr(runs, "_evaluate_trial", lambda *_: None)
    run(Rates(), "twice")
    assert len(Rates.fits) == 2 * BUDGET.trials + 3
    first, second = records(tmp_path / "once"), records(tmp_path / "twice")
    assert first["seed-00"].pop("fit_of") == best
    assert first == second


def test_a_space_that_is_not_there_or_cannot_be_loaded_is_fitted_again(
    run: Callable[..., BenchmarkResult], tmp_path: Path
) -> None:
    """So is one of the protocol as-published, which evaluates each epoch on test."""
    run(Unsaved(), "unsaved")
    assert len(Rates.fits) == BUDGET.trials + 2
    published = run(Rates(), "published", protocol="as-published")
    assert len(Rates.fits) == 2 * (BUDGET.trials + 2)
    assert published.runs["m"][0]["best_on_test"] > 0
    names = {path.suffix for path in (tmp_path / "published" / "runs" / "m").iterdir()}
    assert names == {".json"}


@pytest.mark.usefixtures("_early")
def test_a_folder_from_before_trials_were_stopped_keeps_full_trials(
    run: Callable[..., BenchmarkResult], tmp_path: Path
) -> None:
    full = run(Rates(), "full", replace(BUDGET, full_trials=True))
    run(Rates(), "old", replace(BUDGET, full_trials=True))
    old = tmp_path / "old"
    with pytest.raises(SettingError, match="holds another comparison"):
        run(Rates(), "old")
    identity = json.loads((old / "benchmark.json").read_text())
    del identity["budget"]["full_trials"]
    (old / "benchmark.json").write_text(json.dumps(identity))
    for path in (old / "runs" / "m").iterdir():
        record = json.loads(path.read_text())
        record.pop("curve", None)  # as an older version wrote it
        path.write_text(json.dumps(record))
        if path.stem > "trial-02" or path.stem.startswith("seed"):
            path.unlink()
    again = run(Rates(), "old")
    assert again.settings == full.settings
    assert not any("stopped" in one for one in trials(old))
    for seed in (0, 1):
        assert again.runs["m"][seed]["map"] == full.runs["m"][seed]["map"]
    with pytest.raises(SettingError, match="holds another comparison"):
        run(Rates(), "old", replace(BUDGET, epochs=6))
