"""Interrupted training: resuming gives the same weights, to the bit."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from typer.testing import Result

from commonspace.cli.interrupts import sigterm_interrupts

Call = Callable[..., Result]
WORDS = (
    "--epochs",
    "120",
    "--patience",
    "0",
    "--hidden-dim",
    "16",
    "--embedding-dim",
    "8",
    "--device",
    "cpu",
)


def stop_after_an_epoch(data: Path, out: Path, with_signal: signal.Signals) -> tuple[int, str]:
    """Start training and stop it after the first checkpoint; return (exit code, messages)."""
    command = [sys.executable, "-m", "commonspace", "train", str(data), "--out", str(out), *WORDS]
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    with subprocess.Popen(
        command, env=os.environ | threads, stderr=subprocess.PIPE, text=True
    ) as process:
        while not (out / "checkpoint.safetensors").exists() and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(with_signal)
        _, messages = process.communicate(timeout=120)
    assert not (out / "config.json").exists(), "the training ended before it was stopped"
    return process.returncode, messages


@pytest.fixture(scope="module")
def uninterrupted(
    tmp_path_factory: pytest.TempPathFactory, points_file: Path, call: Call
) -> dict[str, bytes]:
    """Return the files of the same training without interruption."""
    out = tmp_path_factory.mktemp("whole") / "run"
    result = call("train", points_file, "--out", out, *WORDS)
    assert result.exit_code == 0, result.stderr
    return {name: (out / name).read_bytes() for name in ("model.safetensors", "history.jsonl")}


def test_resume_after_a_kill_gives_the_same_weights(
    call: Call, points_file: Path, tmp_path: Path, uninterrupted: dict[str, bytes]
) -> None:
    out = tmp_path / "run"
    code, _ = stop_after_an_epoch(points_file, out, signal.SIGKILL)
    assert code == -signal.SIGKILL
    unfinished = call("evaluate", out)
    assert unfinished.exit_code == 2
    assert "--resume" in unfinished.stderr
    resumed = call("train", points_file, "--out", out, *WORDS, "--resume")
    assert resumed.exit_code == 0, resumed.stderr
    assert (out / "model.safetensors").read_bytes() == uninterrupted["model.safetensors"]
    assert not (out / "checkpoint.safetensors").exists()
    epochs = len((out / "history.jsonl").read_text().splitlines())
    assert epochs == len(uninterrupted["history.jsonl"].splitlines()) == 120


def test_ctrl_c_names_the_checkpoint_and_the_command_that_continues(
    call: Call, points_file: Path, tmp_path: Path, uninterrupted: dict[str, bytes]
) -> None:
    out = tmp_path / "a run"
    code, messages = stop_after_an_epoch(points_file, out, signal.SIGINT)
    assert code == 130
    assert "Traceback" not in messages
    assert f"kept {out / 'checkpoint.safetensors'}" in messages
    line = next(line for line in messages.splitlines() if line.startswith("continue with: "))
    words = shlex.split(line.removeprefix("continue with: "))
    assert words[0] == "commonspace"
    resumed = call(*words[1:])
    assert resumed.exit_code == 0, resumed.stderr
    assert (out / "model.safetensors").read_bytes() == uninterrupted["model.safetensors"]


def test_a_damaged_or_foreign_checkpoint_is_rejected_and_left_unchanged(
    call: Call, points_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    stop_after_an_epoch(points_file, out, signal.SIGTERM)
    checkpoint = out / "checkpoint.safetensors"
    content = checkpoint.read_bytes()
    other = call("train", points_file, "--out", out, *WORDS, "--resume", "--seed", "5")
    assert other.exit_code == 2
    assert "seed was 0, now 5" in other.stderr
    assert checkpoint.read_bytes() == content
    checkpoint.write_bytes(content[: len(content) // 2])
    cut = call("train", points_file, "--out", out, *WORDS, "--resume")
    assert cut.exit_code == 2
    assert "cannot be read" in cut.stderr
    assert "Traceback" not in cut.output


def test_sigterm_interrupts_inside_the_block_only() -> None:
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), sigterm_interrupts():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is handler
