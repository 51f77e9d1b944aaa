"""A training that is killed or stopped goes on to the same weights, to the bit."""

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


def stopped_after_an_epoch(data: Path, out: Path, how: signal.Signals) -> tuple[int, str]:
    """Start a training, stop it when there is a checkpoint; return exit code and messages."""
    command = [sys.executable, "-m", "commonspace", "train", str(data), "--out", str(out), *WORDS]
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    with subprocess.Popen(
        command, env=os.environ | threads, stderr=subprocess.PIPE, text=True
    ) as process:
        while not (out / "checkpoint.safetensors").exists() and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(how)
        _, messages = process.communicate(timeout=120)
    assert not (out / "config.json").exists(), "the training ended before it was stopped"
    return process.returncode, messages


@pytest.fixture(scope="module")
def uninterrupted(
    tmp_path_factory: pytest.TempPathFactory, points_file: Path, call: Call
) -> dict[str, bytes]:
    """Return the weights, and the epochs, of the same training without a stop."""
    out = tmp_path_factory.mktemp("whole") / "run"
    result = call("train", points_file, "--out", out, *WORDS)
    assert result.exit_code == 0, result.stderr
    return {name: (out / name).read_bytes() for name in ("model.safetensors", "history.jsonl")}


def test_resume_after_a_kill_gives_the_same_weights(
    call: Call, points_file: Path, tmp_path: Path, uninterrupted: dict[str, bytes]
) -> None:
    out = tmp_path / "run"
    code, _ = stopped_after_an_epoch(points_file, out, signal.SIGKILL)
    assert code == -signal.SIGKILL
    refused = call("evaluate", out)
    assert refused.exit_code == 2
    assert "--resume" in refused.stderr
    resumed = call("train", points_file, "--out", out, *WORDS, "--resume")
    assert resumed.exit_code == 0, resumed.stderr
    assert (out / "model.safetensors").read_bytes() == uninterrupted["model.safetensors"]
    assert not (out / "checkpoint.safetensors").exists()
    epochs = len((out / "history.jsonl").read_text().splitlines())
    assert epochs == len(uninterrupted["history.jsonl"].splitlines()) == 120


def test_ctrl_c_says_what_was_kept_and_how_to_go_on(
    call: Call, points_file: Path, tmp_path: Path, uninterrupted: dict[str, bytes]
) -> None:
    out = tmp_path / "a run"
    code, messages = stopped_after_an_epoch(points_file, out, signal.SIGINT)
    assert code == 130
    assert "Traceback" not in messages
    assert f"kept {out / 'checkpoint.safetensors'}" in messages
    line = next(line for line in messages.splitlines() if line.startswith("go on with: "))
    words = shlex.split(line.removeprefix("go on with: "))
    assert words[0] == "commonspace"
    resumed = call(*words[1:])
    assert resumed.exit_code == 0, resumed.stderr
    assert (out / "model.safetensors").read_bytes() == uninterrupted["model.safetensors"]


def test_a_damaged_or_foreign_checkpoint_is_refused_and_kept(
    call: Call, points_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    stopped_after_an_epoch(points_file, out, signal.SIGTERM)
    checkpoint = out / "checkpoint.safetensors"
    whole = checkpoint.read_bytes()
    other = call("train", points_file, "--out", out, *WORDS, "--resume", "--seed", "5")
    assert other.exit_code == 2
    assert "seed was 0, now 5" in other.stderr
    assert checkpoint.read_bytes() == whole
    checkpoint.write_bytes(whole[: len(whole) // 2])
    cut = call("train", points_file, "--out", out, *WORDS, "--resume")
    assert cut.exit_code == 2
    assert "cannot be read" in cut.stderr
    assert "Traceback" not in cut.output


def test_sigterm_is_ctrl_c_in_the_block_and_what_it_was_outside() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), sigterm_interrupts():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
