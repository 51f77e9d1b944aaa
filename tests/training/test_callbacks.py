"""Callbacks of a training: progress bar and TensorBoard."""

from dataclasses import replace
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
    EventAccumulator,
)
from torch import nn

from commonspace.callbacks import Callback, EpochRecord
from commonspace.progress import ProgressBar
from commonspace.training.tensorboard import TensorBoard

NETWORK = nn.Identity()


def record(epoch: int) -> EpochRecord:
    losses = {"loss": 1 / epoch, "J1": 0.5 / epoch, "J2": 2.0, "J3": 0.25}
    return EpochRecord(epoch, losses, {1: 0.3, 2: 0.6}.get(epoch, 0.5), 2.0 * epoch)


def watch(callback: Callback, epochs: int, done: int = 0) -> None:
    history = tuple(record(epoch) for epoch in range(1, done + 1))
    callback.on_start("training", 2 * epochs, 2 * done, history)
    for epoch in range(done + 1, epochs + 1):
        callback.on_advance()
        callback.on_advance()
        callback.on_epoch_end(record(epoch), NETWORK)
    callback.on_end()


def test_a_log_file_gets_ten_lines_with_figures_and_time_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    watch(ProgressBar(), epochs=30)
    out, err = capsys.readouterr()
    assert out == "", "standard output belongs to results"
    lines = err.splitlines()
    assert len(lines) == 10
    assert lines[1] == (
        "epoch 6/30  loss 0.1667  J1 0.0833  J2 2.0000  J3 0.2500"
        "  validation mAP 0.500 (best 0.600, epoch 2)  48 s left"
    )


def test_a_resumed_training_remembers_its_best_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    watch(ProgressBar(), epochs=4, done=2)
    first, *lines = capsys.readouterr().err.splitlines()
    assert first == "training: 4 of 8 were done before"
    assert [line.split("  ")[0] for line in lines] == ["epoch 3/4", "epoch 4/4"]
    assert all("(best 0.600, epoch 2)" in line for line in lines)


def test_a_training_that_keeps_its_last_epoch_names_no_best_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bar = ProgressBar()
    bar.on_start("training", 1)
    bar.on_advance()
    bar.on_epoch_end(replace(record(1), keeps_last=True), NETWORK)
    bar.on_end()
    err = capsys.readouterr().err
    assert "validation mAP 0.300 (the last epoch is kept)" in err
    assert "best" not in err


def test_a_terminal_gets_a_live_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    watch(ProgressBar(), epochs=3)
    err = capsys.readouterr().err
    assert "J3 0.2500  validation mAP 0.500 (best 0.600, epoch 2)" in err
    assert "epoch 3/3" in err


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return {
        tag: [(event.step, round(event.value, 6)) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def test_tensorboard_finds_every_part_of_the_loss_and_the_map(tmp_path: Path) -> None:
    watch(TensorBoard(tmp_path), epochs=3)
    found = scalars(tmp_path)
    assert set(found) == {"train/loss", "train/J1", "train/J2", "train/J3", "validation/map"}
    assert found["validation/map"] == [(1, 0.3), (2, 0.6), (3, 0.5)]
    assert found["train/loss"] == [(1, 1.0), (2, 0.5), (3, 0.333333)]


def test_a_resumed_training_hides_what_was_written_after_its_checkpoint(tmp_path: Path) -> None:
    """Killed after epoch 4, while the checkpoint is of epoch 2."""
    watch(TensorBoard(tmp_path), epochs=4)
    watch(TensorBoard(tmp_path), epochs=5, done=2)
    assert [step for step, _ in scalars(tmp_path)["validation/map"]] == [1, 2, 3, 4, 5]


def test_callbacks_that_were_never_started_do_nothing(tmp_path: Path) -> None:
    for callback in (ProgressBar(), TensorBoard(tmp_path)):
        callback.on_advance()
        callback.on_epoch_end(record(1), NETWORK)
        callback.on_end()
    assert list(tmp_path.iterdir()) == []
