"""The checkpoint file: whole or refused, and never lost to a write that fails."""

import errno
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.torch import save_file

from commonspace.data import Dataset
from commonspace.errors import OutputError, SpaceError
from commonspace.methods import DSCMR
from commonspace.space import CommonSpace
from commonspace.training import CHECKPOINT, EpochRecord, RunConfig, checkpoint, loop
from commonspace.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint

TINY: dict[str, Any] = {"hidden_dim": 16, "embedding_dim": 8, "batch_size": 16, "epochs": 4}


@pytest.fixture(autouse=True)
def _save_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny epochs are shorter than writing their checkpoint: lift the limit on its share."""
    monkeypatch.setattr(loop, "CHECKPOINT_SHARE", 1e9)


def fit(method: DSCMR, data: Dataset, *observers: Any, **run: Any) -> CommonSpace:  # noqa: ANN401
    parts = data.split("train"), data.split("validation")
    return method.fit(*parts, RunConfig(callbacks=observers, **run))


CPU = torch.device("cpu")


TASK = json.dumps({"method": {"name": "dscmr", "seed": 0}})


def example(epochs: int = 2, size: int = 4) -> Checkpoint:
    draw = np.random.default_rng(epochs)
    weight = torch.from_numpy(draw.normal(size=(size, 3))).float()
    return Checkpoint(
        task=TASK,
        history=tuple(
            EpochRecord(i + 1, {"loss": 0.1 + i, "J1": 1 / 3}, 1 / (i + 3), 0.7 * i)
            for i in range(epochs)
        ),
        network={"shared.weight": weight, "count": torch.tensor(epochs)},
        best={"shared.weight": -weight, "count": torch.tensor(1)},
        optimizer={"0.exp_avg": weight / 7, "0.step": torch.tensor(float(epochs))},
    )


def same(first: Checkpoint, second: Checkpoint) -> bool:
    groups = ("network", "best", "optimizer")
    return (first.task, first.history) == (second.task, second.history) and all(
        getattr(first, group).keys() == getattr(second, group).keys()
        and all(torch.equal(t, getattr(second, group)[n]) for n, t in getattr(first, group).items())
        for group in groups
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    for epochs in (1, 3):  # the second takes the place of the first
        write_checkpoint(example(epochs), path)
        assert same(read_checkpoint(path, TASK, CPU), example(epochs))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_memory_layout_does_not_matter(tmp_path: Path) -> None:
    images = torch.arange(48.0).reshape(2, 2, 3, 4).to(memory_format=torch.channels_last)
    state = Checkpoint(TASK, (), {"a": images, "b": images[:, :, 0].mT}, {}, {})
    write_checkpoint(state, tmp_path / "x")
    assert same(read_checkpoint(tmp_path / "x", TASK, CPU), state)


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_flipped_bit_is_noticed(where: float, bit: int, tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    write_checkpoint(example(), path)
    content = bytearray(path.read_bytes())
    content[int(where * len(content))] ^= 1 << bit
    path.write_bytes(content)
    with pytest.raises(SpaceError, match="cannot be read") as caught:
        read_checkpoint(path, TASK, CPU)
    assert str(path) in caught.value.problem
    assert caught.value.advice


@pytest.mark.parametrize("kept", [0, 1, 8, 100, 0.5, -1])
def test_a_truncated_file_is_refused(kept: float, tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    write_checkpoint(example(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if kept == 0.5 else int(kept)])
    with pytest.raises(SpaceError, match="cannot be read") as caught:
        read_checkpoint(path, TASK, CPU)
    assert caught.value.__cause__ is not None


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    with pytest.raises(SpaceError, match="no such file"):
        read_checkpoint(path, TASK, CPU)
    save_file({"network/a": torch.zeros(2)}, path)
    with pytest.raises(SpaceError, match="cannot be read"):
        read_checkpoint(path, TASK, CPU)
    path.unlink()
    path.mkdir()
    with pytest.raises(SpaceError, match="cannot be read"):
        read_checkpoint(path, TASK, CPU)


def test_the_difference_to_another_task_is_named(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    write_checkpoint(example(), path)
    with pytest.raises(SpaceError) as caught:
        read_checkpoint(path, json.dumps({"method": {"name": "dscmr", "seed": 7}}), CPU)
    assert caught.value.found == "method.seed was 0, now 7"


def full(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def full_in_rust(*_: object, **__: object) -> NoReturn:
    raise SafetensorError("Error while serializing: I/O error: No space left on device")


def test_a_full_disk_leaves_the_older_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.safetensors"
    write_checkpoint(example(1), path)
    for place, fails in ((checkpoint, full), (checkpoint, full_in_rust), (os, full)):
        with monkeypatch.context() as patch:
            patch.setattr(place, "fsync" if place is os else "save_file", fails)
            with pytest.raises(OutputError, match="No space left on device") as caught:
                write_checkpoint(example(2), path)
        assert "unchanged" in caught.value.advice
        assert same(read_checkpoint(path, TASK, CPU), example(1))
        assert [file.name for file in tmp_path.iterdir()] == [path.name]


SCRIPT = """
import json, resource, signal, sys
from pathlib import Path
from commonspace.errors import OutputError
from commonspace.training import checkpoint
import torch

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
state = checkpoint.Checkpoint("{}", (), {"large": torch.zeros(100_000)}, {}, {})
try:
    checkpoint.write_checkpoint(state, path)
except OutputError as error:
    print(error)
    sys.exit(3)
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limit on the size of files")
def test_a_write_that_the_system_cuts_short_leaves_the_older_checkpoint(tmp_path: Path) -> None:
    """No stand-in: the kernel refuses to let the file grow."""
    path = tmp_path / "state.safetensors"
    write_checkpoint(example(1), path)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3, done.stderr
    assert "could not be written" in done.stdout
    assert same(read_checkpoint(path, TASK, CPU), example(1))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def killed(method: DSCMR, data: Dataset, folder: Path, witness: Callable[..., Any]) -> Path:
    """Return the checkpoint that a training leaves when it is killed in its third epoch."""
    with pytest.raises(KeyboardInterrupt):
        fit(method, data, witness(dies_in=3), checkpoint=folder)
    return folder / CHECKPOINT


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"seed": 5}, "seed was 0, now 5"),
        ({"eta": 0.5}, "eta was None, now 0.5"),
        ({"batch_size": 8}, "batch_size was 16, now 8"),
        ({"preset": "official"}, "preset was 'paper', now 'official'"),
    ],
)
def test_the_checkpoint_of_other_settings_is_refused(
    change: dict[str, Any],
    difference: str,
    feature_dataset: Dataset,
    tmp_path: Path,
    witness: Callable[..., Any],
) -> None:
    path = killed(DSCMR(**TINY), feature_dataset, tmp_path, witness)
    before = path.read_bytes()
    with pytest.raises(SpaceError, match="another training") as caught:
        fit(DSCMR(**{**TINY, **change}), feature_dataset, checkpoint=tmp_path, resume=True)
    assert difference in caught.value.found
    assert path.read_bytes() == before


def test_the_checkpoint_of_other_data_is_refused(
    feature_dataset: Dataset, tmp_path: Path, witness: Callable[..., Any]
) -> None:
    killed(DSCMR(**TINY), feature_dataset, tmp_path, witness)
    order = np.arange(len(feature_dataset))[::-1]
    with pytest.raises(SpaceError, match="another training") as caught:
        fit(DSCMR(**TINY), feature_dataset.take(order), checkpoint=tmp_path, resume=True)
    assert "data.fingerprint was" in caught.value.found


def test_there_must_be_a_checkpoint_to_resume_from(
    feature_dataset: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(SpaceError, match="no such file"):
        fit(DSCMR(**TINY), feature_dataset, checkpoint=tmp_path, resume=True)


def test_a_new_training_writes_over_no_checkpoint(
    feature_dataset: Dataset, tmp_path: Path, witness: Callable[..., Any]
) -> None:
    path = killed(DSCMR(**TINY), feature_dataset, tmp_path, witness)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="already exists") as caught:
        fit(DSCMR(**TINY), feature_dataset, checkpoint=tmp_path)
    assert "resume" in caught.value.advice
    assert path.read_bytes() == before


def test_the_folder_of_the_checkpoint_is_made_before_the_first_step(
    feature_dataset: Dataset, tmp_path: Path, witness: Callable[..., Any]
) -> None:
    fit(DSCMR(**TINY), feature_dataset, checkpoint=tmp_path / "new" / "deep")
    assert (tmp_path / "new" / "deep" / CHECKPOINT).exists()
    (tmp_path / "file").write_text("taken")
    watcher = witness()
    with pytest.raises(OutputError, match="file is a file"):
        fit(DSCMR(**TINY), feature_dataset, watcher, checkpoint=tmp_path / "file" / "run")
    assert watcher.steps == 0
