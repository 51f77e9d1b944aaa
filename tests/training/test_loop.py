"""What happens inside an epoch: the batches, their order, what is recorded of them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from commonspace.data import Dataset
from commonspace.encoders import Vectors
from commonspace.training import (
    Batch,
    EpochRecord,
    RunConfig,
    Samples,
    TrainingSettings,
    best_epoch,
    epoch_seed,
    train,
)

CPU = torch.device("cpu")
QUIET = RunConfig()


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


def test_a_sample_without_a_modality_is_left_out_of_it_alone() -> None:
    present = np.array([True, False, True, False])
    image = torch.arange(8.0).reshape(4, 2)
    text = torch.arange(4.0).reshape(4, 1)
    columns = {
        "image": SimpleNamespace(present=present, values=image),
        "text": SimpleNamespace(present=np.ones(4, dtype=bool), values=text),
    }
    data: Any = SimpleNamespace(columns=columns, labels=np.eye(4, dtype=bool))
    inputs: Any = dict.fromkeys(columns, lambda column: column.values)
    held = Samples(data, inputs, CPU)
    batch = held.batch(torch.tensor([3, 2, 0]))
    assert batch.inputs["image"].tolist() == [[4.0, 5.0], [0.0, 1.0]]
    assert batch.present["image"].tolist() == [False, True, True]
    assert batch.inputs["text"].tolist() == [[3.0], [2.0], [0.0]]
    assert batch.labels.argmax(dim=1).tolist() == [3, 2, 0]
    assert set(held.batch(torch.tensor([1, 3])).inputs) == {"text"}


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
