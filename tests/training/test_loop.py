"""Training loop: batches and their order, records, selection on validation, resume, seeds."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from commonspace.data import Dataset
from commonspace.encoders import Vectors
from commonspace.errors import TrainingError
from commonspace.evaluation import evaluate_retrieval
from commonspace.methods import DSCMR
from commonspace.space import CommonSpace
from commonspace.training import (
    Batch,
    EpochRecord,
    RunConfig,
    Samples,
    TrainingSettings,
    best_epoch,
    epoch_seed,
    loop,
    train,
)

CPU = torch.device("cpu")


QUIET = RunConfig()


TINY: dict[str, Any] = {"hidden_dim": 16, "embedding_dim": 8, "batch_size": 16, "epochs": 4}


Weights = dict[str, Tensor]


@pytest.fixture(autouse=True)
def _save_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny epochs are shorter than writing their checkpoint: lift the limit on its share."""
    monkeypatch.setattr(loop, "CHECKPOINT_SHARE", 1e9)


def fit(method: DSCMR, data: Dataset, *observers: Any, **run: Any) -> CommonSpace:  # noqa: ANN401
    parts = data.split("train"), data.split("validation")
    return method.fit(*parts, RunConfig(callbacks=observers, **run))


def equal(first: Weights, second: Weights) -> bool:
    same = [torch.equal(first[name], second[name]) for name in first]
    return first.keys() == second.keys() and all(same)


def figures(records: list[EpochRecord]) -> list[dict[str, Any]]:
    """Return all that is the same in each run: everything but the clock."""
    return [asdict(replace(record, seconds=0.0)) for record in records]


TASKS: dict[str, tuple[str, dict[str, Any]]] = {
    "features, shuffled": ("feature_dataset", {}),
    "as released, in order": ("feature_dataset", {"preset": "official"}),
    "closed form": ("feature_dataset", {"classifier": "closed_form"}),
    "three modalities": ("three_modalities", {}),
    "raw, with dropout": ("raw_dataset", {}),
    "bfloat16": ("feature_dataset", {"precision": "bfloat16"}),
    "early stop": ("feature_dataset", {"patience": 1, "epochs": 9, "learning_rate": 3e-2}),
}


@pytest.fixture(params=TASKS)
def task(request: pytest.FixtureRequest) -> tuple[DSCMR, Dataset]:
    data, options = TASKS[request.param]
    return DSCMR(**{**TINY, **options}), request.getfixturevalue(data)


def samples(data: Dataset) -> Samples:
    inputs = {"image": Vectors(6), "text": Vectors(5)}
    return Samples(data.split("train"), inputs, CPU)


class Slope(nn.Module):
    """The smallest network: one number."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))


class Spy:
    """An objective that writes down its batches; its loss is the weight times the batch's size."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def __call__(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        self.batches.append(batch)
        weight = network.weight
        assert isinstance(weight, Tensor)
        return {"loss": weight * 1, "size": torch.tensor(float(len(batch.labels)))}


def orders(data: Dataset, epochs: int, **settings: Any) -> list[list[tuple[float, ...]]]:  # noqa: ANN401
    """Return the image features that each epoch saw, in order."""
    spy = Spy()
    chosen = TrainingSettings(epochs=epochs, batch_size=16, learning_rate=0.1, **settings)
    train(Slope(), spy, samples(data), lambda network: 0.5, chosen, QUIET, "{}")
    assert [len(batch.labels) for batch in spy.batches] == [16, 16, 8] * epochs
    rows = [tuple(row) for batch in spy.batches for row in batch.inputs["image"].tolist()]
    return [rows[start : start + 40] for start in range(0, len(rows), 40)]


def in_file_order(data: Dataset) -> list[tuple[float, ...]]:
    return [tuple(row) for row in samples(data).inputs["image"].tolist()]


def test_each_epoch_is_a_new_permutation_of_all_samples(feature_dataset: Dataset) -> None:
    seen = orders(feature_dataset, 3)
    for epoch in seen:
        assert sorted(epoch) == sorted(in_file_order(feature_dataset))
        assert epoch != in_file_order(feature_dataset)
    assert seen[0] != seen[1] != seen[2] != seen[0]
    assert seen == orders(feature_dataset, 3)
    assert seen != orders(feature_dataset, 3, seed=1)


def test_batches_in_the_order_of_the_data_are_so_in_each_epoch(feature_dataset: Dataset) -> None:
    assert orders(feature_dataset, 2, shuffle=False) == [in_file_order(feature_dataset)] * 2


def test_rows_of_a_batch_belong_together(feature_dataset: Dataset) -> None:
    spy = Spy()
    settings = TrainingSettings(epochs=1, batch_size=7, learning_rate=0.1)
    train(Slope(), spy, samples(feature_dataset), lambda network: 0.5, settings, QUIET, "{}")
    whole = samples(feature_dataset)
    place = {tuple(row): i for i, row in enumerate(whole.inputs["image"].tolist())}
    for batch in spy.batches:
        rows = [place[tuple(row)] for row in batch.inputs["image"].tolist()]
        assert torch.equal(batch.inputs["text"], whole.inputs["text"][rows])
        assert torch.equal(batch.labels, whole.labels[rows])


def test_records_are_means_over_samples_not_over_batches(feature_dataset: Dataset) -> None:
    """Batches of 16, 16 and 8: a sample sits in a batch of (16 * 32 + 8 * 8) / 40 on average."""
    settings = TrainingSettings(epochs=1, batch_size=16, learning_rate=0.1)
    (record,) = train(
        Slope(), Spy(), samples(feature_dataset), lambda network: 0.5, settings, QUIET, "{}"
    )
    assert record.losses["size"] == pytest.approx(14.4)


def test_a_step_is_one_of_adam_by_its_formula(feature_dataset: Dataset) -> None:
    """Three steps with a constant gradient of 2, against the update of Kingma and Ba (2015)."""

    def objective(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        weight = network.weight
        assert isinstance(weight, Tensor)
        return {"loss": 2 * weight}

    rate, first, second = 0.05, 0.5, 0.9
    settings = TrainingSettings(1, 16, rate, betas=(first, second))
    network = Slope()
    train(network, objective, samples(feature_dataset), lambda network: 0.5, settings, QUIET, "{}")
    weight, m, v = 1.0, 0.0, 0.0
    for t in (1, 2, 3):
        m, v = first * m + (1 - first) * 2, second * v + (1 - second) * 4
        weight -= rate * (m / (1 - first**t)) / (np.sqrt(v / (1 - second**t)) + 1e-8)
    assert network.weight.item() == pytest.approx(weight, rel=1e-6)


def test_accumulated_batches_step_like_one_batch(feature_dataset: Dataset) -> None:
    """With equal batches the mean of their gradients is the gradient of their union."""

    class Spread(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(6))

    def loss(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        weight = network.weight
        assert isinstance(weight, Tensor)
        return {"loss": (batch.inputs["image"] @ weight - 1).square().mean()}

    weights = []
    for size, count in ((20, 1), (5, 4), (10, 2)):
        chosen = TrainingSettings(
            epochs=3, batch_size=size, learning_rate=0.1, accumulate=count, shuffle=False
        )
        network = Spread()
        train(network, loss, samples(feature_dataset), lambda network: 0.5, chosen, QUIET, "{}")
        weights.append(network.weight.detach())
    torch.testing.assert_close(weights[1], weights[0])
    torch.testing.assert_close(weights[2], weights[0])


def test_the_last_epochs_of_a_cycle_are_averaged(feature_dataset: Dataset) -> None:
    ends: list[float] = []

    def validate(network: nn.Module) -> float:
        weight = network.weight
        assert isinstance(weight, Tensor)
        ends.append(float(weight.detach()))
        return 0.5

    chosen = TrainingSettings(
        epochs=5, batch_size=16, learning_rate=0.1, schedule="one cycle", average=3
    )
    network = Slope()
    train(network, Spy(), samples(feature_dataset), validate, chosen, QUIET, "{}")
    found = float(network.weight.detach())
    assert found == pytest.approx(np.mean(ends[-3:]), abs=1e-6)
    assert found != pytest.approx(ends[-1], abs=1e-3)


def test_a_budget_of_time_ends_the_training_with_falling_rates(
    feature_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that moves one second a reading: the rates follow the time, then training ends."""
    seconds = iter(range(10**6))
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: float(next(seconds))))
    factors: list[float] = []
    factor = loop.rate_factor

    def noted(settings: TrainingSettings, done: float) -> float:
        factors.append(factor(settings, done))
        return factors[-1]

    monkeypatch.setattr(loop, "rate_factor", noted)
    chosen = TrainingSettings(
        epochs=1000, batch_size=16, learning_rate=0.1, schedule="one cycle", minutes=1
    )
    history = train(
        Slope(), Spy(), samples(feature_dataset), lambda network: 0.5, chosen, QUIET, "{}"
    )
    assert 3 < len(history) < 30
    assert factors.index(max(factors)) < len(factors) / 4
    assert factors[-1] < 0.05
    assert np.isfinite([record.losses["loss"] for record in history]).all()


def test_the_best_epoch_is_the_first_of_the_highest() -> None:
    scores = (0.2, 0.7, 0.5, 0.7)
    history = tuple(EpochRecord(i, {}, score, 0.0) for i, score in enumerate(scores, 1))
    assert best_epoch(history).epoch == 2


def test_seeds_of_epochs_differ() -> None:
    seeds = {epoch_seed(seed, epoch) for seed in range(40) for epoch in range(40)}
    assert len(seeds) == 1600
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert epoch_seed(2**63 - 1, 500) == epoch_seed(2**63 - 1, 500)


def test_without_a_folder_nothing_is_written(
    feature_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    orders(feature_dataset, 1)
    assert list(tmp_path.iterdir()) == []


def test_a_resumed_training_equals_one_that_ran_through(
    task: tuple[DSCMR, Dataset], witness: Callable[..., Any], tmp_path: Path
) -> None:
    """Killed in each epoch in turn, before that epoch could be saved."""
    method, data = task
    through = witness()
    whole = fit(method, data, through)
    assert len(through.records) >= 2
    for epoch in range(2, len(through.records) + 1):
        folder = tmp_path / str(epoch)
        with pytest.raises(KeyboardInterrupt):
            fit(method, data, witness(dies_in=epoch), checkpoint=folder)
        again = witness()
        space = fit(method, data, again, checkpoint=folder, resume=True)
        assert again.started_with[0][2] == epoch - 1
        assert figures(again.records) == figures(through.records[epoch - 1 :])
        for number, weights in again.weights.items():
            assert equal(weights, through.weights[number]), f"killed in {epoch}, epoch {number}"
        assert equal(space.network.state_dict(), whole.network.state_dict())
        chosen = [one.provenance["chosen"] for one in (space, whole)]
        assert [c["epoch"] for c in chosen] == [chosen[0]["epoch"]] * 2


def test_the_same_seed_gives_the_same_bits_and_another_does_not(
    task: tuple[DSCMR, Dataset], witness: Callable[..., Any]
) -> None:
    method, data = task
    seen = [witness() for _ in range(3)]
    for watcher, seed in zip(seen, (0, 0, 1), strict=True):
        # The caller's generators are elsewhere each time: nothing may depend on them.
        with torch.random.fork_rng(devices=[]):
            torch.rand(seed + len(watcher.records) + 1)
            fit(replace(method, seed=seed), data, watcher)
    first, second, other = seen
    assert figures(first.records) == figures(second.records)
    assert all(equal(first.weights[e], second.weights[e]) for e in first.weights)
    assert not equal(first.weights[1], other.weights[1])


def test_the_generators_of_the_caller_stay_as_they_were(
    raw_dataset: Dataset, tmp_path: Path
) -> None:
    states = torch.get_rng_state(), np.random.get_state(legacy=False)  # noqa: NPY002
    fit(DSCMR(**{**TINY, "epochs": 1}), raw_dataset, checkpoint=tmp_path)
    assert torch.equal(states[0], torch.get_rng_state())
    assert str(states[1]) == str(np.random.get_state(legacy=False))  # noqa: NPY002


def test_the_weights_are_those_of_the_best_epoch(
    feature_dataset: Dataset, witness: Callable[..., Any]
) -> None:
    watcher = witness()
    space = fit(DSCMR(**{**TINY, "epochs": 12, "learning_rate": 3e-2}), feature_dataset, watcher)
    scores = [record.validation_score for record in watcher.records]
    best = int(np.argmax(scores)) + 1
    assert best < len(scores), "otherwise nothing would be shown"
    assert space.provenance["chosen"]["epoch"] == best
    assert equal(space.network.state_dict(), watcher.weights[best])
    assert not equal(space.network.state_dict(), watcher.weights[len(scores)])
    part = feature_dataset.split("validation")
    vectors = {name: space.embed(name, column) for name, column in part.columns.items()}
    labels = dict.fromkeys(vectors, part.labels)
    figure = evaluate_retrieval(vectors, labels)["average"]["map"]
    assert figure == scores[best - 1] == space.provenance["chosen"]["validation_score"]


@pytest.mark.parametrize("patience", [1, 3, None])
def test_training_stops_after_that_many_epochs_without_a_better_one(
    patience: int | None, feature_dataset: Dataset, witness: Callable[..., Any]
) -> None:
    watcher = witness()
    method = DSCMR(**{**TINY, "epochs": 25, "patience": patience, "learning_rate": 3e-2})
    fit(method, feature_dataset, watcher)
    scores = [record.validation_score for record in watcher.records]
    if patience is None:
        assert len(scores) == 25
        return
    assert len(scores) - (int(np.argmax(scores)) + 1) == patience
    for epoch in range(1, len(scores)):  # and no epoch earlier
        assert epoch - (int(np.argmax(scores[:epoch])) + 1) < patience


@pytest.mark.parametrize("patience", [9, None])
def test_a_stop_function_ends_a_training_that_has_patience(
    patience: int | None, feature_dataset: Dataset
) -> None:
    """The best weights so far are kept; without patience the function is not called."""
    scores, weights = iter([0.1, 0.4, 0.3, 0.5, 0.2]), []

    def validate(network: nn.Module) -> float:
        weights.append(network.state_dict()["weight"].item())
        return next(scores)

    network, settings = Slope(), TrainingSettings(5, 16, 0.1, patience=patience)
    run = RunConfig(stop=lambda history: [one.validation_score for one in history][2:] == [0.3])
    history = train(network, Spy(), samples(feature_dataset), validate, settings, run, "{}")
    epochs, best = (3, 2) if patience else (5, 4)
    assert len(history) == len(weights) == epochs
    assert network.weight.item() == weights[best - 1]


@pytest.mark.parametrize("killed_in", [2, 3])
def test_a_resumed_training_is_stopped_where_it_would_have_been(
    killed_in: int, feature_dataset: Dataset, tmp_path: Path
) -> None:
    """In epoch 2 before it would be stopped; in 3 when the checkpoint of 3 is written already."""

    class Kill(Exception):  # noqa: N818 - it stands for the end of the process
        pass

    def kill(history: Sequence[EpochRecord]) -> bool:
        if len(history) == killed_in:
            raise Kill
        return False

    def stop(history: Sequence[EpochRecord]) -> bool:
        return len(history) == 3

    method = DSCMR(**{**TINY, "epochs": 6})
    whole = fit(method, feature_dataset, stop=stop)
    with pytest.raises(Kill):
        fit(method, feature_dataset, checkpoint=tmp_path, stop=kill)
    again = fit(method, feature_dataset, checkpoint=tmp_path, resume=True, stop=stop)
    assert again.provenance["chosen"]["epochs"] == whole.provenance["chosen"]["epochs"] == 3
    assert equal(again.network.state_dict(), whole.network.state_dict())


def test_callbacks_receive_every_step_and_epoch(
    feature_dataset: Dataset, witness: Callable[..., Any]
) -> None:
    watcher = witness()
    fit(DSCMR(**{**TINY, "batch_size": 15}), feature_dataset, watcher)
    assert watcher.started_with == [(12, 0, 0)]  # 4 epochs of 40 samples in batches of 15
    assert watcher.steps == 4 * 3
    assert [record.epoch for record in watcher.records] == [1, 2, 3, 4]
    assert watcher.endings == 1
    seconds = [record.seconds for record in watcher.records]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0


def test_callbacks_receive_the_end_of_a_killed_training(
    feature_dataset: Dataset, witness: Callable[..., Any]
) -> None:
    watcher = witness(dies_in=2)
    with pytest.raises(KeyboardInterrupt):
        fit(DSCMR(**TINY), feature_dataset, watcher)
    assert watcher.endings == 1


@pytest.mark.parametrize(
    "options",
    [
        {"learning_rate": 1e38},  # the weights overflow in the only step of the epoch
        {"learning_rate": 1e30, "batch_size": 8},  # and the loss in the next
    ],
)
def test_a_training_that_diverges_is_reported(
    options: dict[str, Any], feature_dataset: Dataset
) -> None:
    method = DSCMR(**{**TINY, "preset": "official", "batch_size": 40, **options})
    with pytest.raises(TrainingError) as caught:
        fit(method, feature_dataset)
    assert "finite" in str(caught.value)
    assert "learning rate" in caught.value.advice


def test_a_finished_training_is_resumed_without_another_step(
    feature_dataset: Dataset, tmp_path: Path, witness: Callable[..., Any]
) -> None:
    whole = fit(DSCMR(**TINY), feature_dataset, checkpoint=tmp_path)
    watcher = witness()
    again = fit(DSCMR(**TINY), feature_dataset, watcher, checkpoint=tmp_path, resume=True)
    assert watcher.steps == 0
    assert equal(whole.network.state_dict(), again.network.state_dict())
    assert again.provenance["chosen"] == whole.provenance["chosen"]


def test_the_space_carries_the_record_of_its_fitting(feature_dataset: Dataset) -> None:
    method = DSCMR(**TINY, seed=3)
    record = fit(method, feature_dataset).provenance
    assert record["method"] == {"name": "dscmr", "options": asdict(method)}
    assert record["training"]["seed"] == 3
    assert record["data"]["fingerprint"] == feature_dataset.split("train").fingerprint
    assert record["validation"]["fingerprint"] == feature_dataset.split("validation").fingerprint
    assert (record["data"]["samples"], record["validation"]["samples"]) == (40, 24)
    assert record["versions"]["torch"] == torch.__version__
    assert set(record["versions"]) >= {"python", "numpy", "commonspace"}
    json.dumps(record)


def test_bfloat16_learns_what_float32_learns(
    feature_dataset: Dataset, witness: Callable[..., Any]
) -> None:
    """bfloat16 has 8 bits: after a few steps the losses agree to within 1 %, and are not equal."""
    seen = {}
    for precision in ("float32", "bfloat16"):
        seen[precision] = witness()
        fit(DSCMR(**TINY, precision=precision), feature_dataset, seen[precision])
    for exact, rounded in zip(seen["float32"].records, seen["bfloat16"].records, strict=True):
        for name, value in exact.losses.items():
            assert rounded.losses[name] == pytest.approx(value, rel=1e-2)
        assert rounded.losses != exact.losses
    assert all(w.dtype == torch.float32 for w in seen["bfloat16"].weights[1].values())


def test_it_learns(feature_dataset: Dataset) -> None:
    """Four classes in much noise: chance is near .3, and this comes to about .55."""
    method = DSCMR(hidden_dim=64, embedding_dim=16, epochs=40, batch_size=20, learning_rate=1e-3)
    assert fit(method, feature_dataset).provenance["chosen"]["validation_score"] > 0.45
