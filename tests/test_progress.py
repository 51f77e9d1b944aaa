"""Progress on standard error without a terminal: lines for long tasks, silence for short ones."""

import pytest

from commonspace import progress
from commonspace.callbacks import Callbacks, EpochRecord


def test_a_short_task_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Callbacks([progress.ProgressBar()]).task("kernel machine of image", total=7) as task:
        for _ in range(7):
            task.on_advance()
    assert capsys.readouterr().err == ""


def test_a_long_task_writes_a_line_for_every_tenth(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    with Callbacks([progress.ProgressBar()]).task("encoding images", total=100) as task:
        for _ in range(100):
            task.on_advance()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert [line.split("  ")[0] for line in lines] == [
        f"encoding images {10 * tenth}/100" for tenth in range(1, 11)
    ]


def test_every_epoch_of_a_short_training_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Callbacks([progress.ProgressBar()]).task("training", total=6) as task:
        for epoch in (1, 2, 3):
            task.on_advance(2)
            task.on_epoch_end(EpochRecord(epoch, {"loss": 0.5}, epoch / 10, float(epoch)), object())
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert "validation mAP 0.300 (best 0.300, epoch 3)" in lines[-1]


def test_earlier_steps_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    with Callbacks([progress.ProgressBar()]).task("runs", total=9, done=4):
        pass
    assert capsys.readouterr().err == "runs: 4 of 9 were done before\n"
