"""Training by several processes: gradients and spaces of one process with the same batches."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from commonspace.cli.processes import check_method, launcher
from commonspace.distributed import Processes
from commonspace.errors import SettingError, TrainingError
from commonspace.methods import CCA, DSCMR
from commonspace.training import CHECKPOINT, Batch, RunConfig
from commonspace.training.shared_batch import SharedBatch
from tests.distributed import gradients, tuned
from tests.distributed.gradients import TINY, Arrays, features

FOLDER = Path(__file__).parent


def run_processes(count: int, script: str, out: Path) -> list[tuple[int, str]]:
    """Run a script in several processes on this machine; return exit codes and messages."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    base = {
        **os.environ,
        "PYTHONPATH": str(FOLDER.parents[1]),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(count),
        "OMP_NUM_THREADS": "1",
    }
    running = [
        subprocess.Popen(
            [sys.executable, str(FOLDER / script), str(out)],
            env={**base, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]
    messages = [process.communicate(timeout=280)[1] for process in running]
    return [(process.returncode, text) for process, text in zip(running, messages, strict=True)]


@pytest.fixture(scope="module")
def alone() -> tuple[Arrays, Arrays]:
    """Return spaces and gradients of one process."""
    trained = gradients.spaces(None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "float", torch.Tensor.double)
        return trained, gradients.gradients(None)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_gradients_and_spaces_are_those_of_one_process(
    count: int, alone: tuple[Arrays, Arrays], tmp_path: Path
) -> None:
    trained, wanted = alone
    ended = run_processes(count, "gradients.py", tmp_path / "found.npz")
    assert [code for code, _ in ended] == [0] * count, ended
    with np.load(tmp_path / "found.npz") as stored:
        found = dict(stored)
    assert found.keys() == {f"space/{key}" for key in trained} | {f"gradient/{k}" for k in wanted}
    for key, value in wanted.items():
        np.testing.assert_allclose(
            found[f"gradient/{key}"], value, rtol=1e-10, atol=1e-10, err_msg=key
        )
    for key, value in trained.items():
        np.testing.assert_allclose(found[f"space/{key}"], value, atol=2e-3, err_msg=key)


@pytest.mark.slow
def test_encoders_that_two_processes_train_are_those_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Photos are augmented as by one process, and each process decodes a share of them."""
    monkeypatch.setenv("COMMONSPACE_CACHE", str(tmp_path / "own"))
    wanted = tuned.spaces(tmp_path / "photos", None)
    monkeypatch.setenv("COMMONSPACE_CACHE", str(tmp_path / "shared"))
    ended = run_processes(2, "tuned.py", tmp_path / "photos" / "found.npz")
    assert [code for code, _ in ended] == [0, 0], ended
    found = []
    for rank in range(2):
        with np.load(tmp_path / "photos" / f"found.{rank}.npz") as stored:
            found.append(dict(stored))
    for key, value in wanted.items():
        if key.endswith("/decoded"):
            counts = [int(one[key]) for one in found]
            assert max(counts) < int(value), (key, counts, value)
        else:
            for one in found:
                np.testing.assert_allclose(one[key], value, atol=2e-3, err_msg=key)
    assert len(wanted["infonce/losses"]) == 3


@pytest.mark.slow
def test_a_lost_process_ends_the_others_and_any_number_continues(tmp_path: Path) -> None:
    (first, message), (last, _) = run_processes(2, "interrupted.py", tmp_path / "run")
    assert (first, last) == (1, 9)
    assert "another process of this training has ended" in message
    assert "--resume" in message
    assert (tmp_path / "run" / CHECKPOINT).exists()

    data, method = features(2, 0.0), DSCMR(**{**TINY, "epochs": 4})
    resumed = method.fit(data, run=RunConfig((), tmp_path / "run", resume=True))
    whole = method.fit(data, run=RunConfig())
    items = cast(Any, data.columns["image"]).values
    np.testing.assert_allclose(
        resumed.embed("image", items), whole.embed("image", items), atol=2e-3
    )


@pytest.mark.parametrize("n", [0, 1, 5, 12])
def test_shares_are_even_and_cover_all_samples(n: int) -> None:
    shares = []
    for rank in range(4):
        process = object.__new__(Processes)
        process.rank, process.count = rank, 4
        shares.append(list(range(n))[process.share(n)])
    assert [row for share in shares for row in share] == list(range(n))
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 1


def test_a_method_that_reads_the_inputs_of_a_shared_batch_is_refused() -> None:
    own = Batch({"image": torch.zeros(1, 2)}, {"image": torch.ones(3)}, torch.zeros(3, 2))
    shared = SharedBatch(own, cast(Any, None))
    for read in (lambda: shared.inputs["image"], lambda: list(shared.inputs)):
        with pytest.raises(TrainingError, match=r"batch\.outputs"):
            read()


def test_a_method_in_closed_form_is_refused_and_one_process_may_do_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    two = object.__new__(Processes)
    two.rank, two.count = 0, 2
    with pytest.raises(SettingError, match="closed form"):
        check_method(two, "cca", CCA())
    check_method(two, "dscmr", DSCMR())
    check_method(None, "cca", CCA())
    assert launcher() == ["commonspace"]
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert launcher() == ["torchrun", "--nproc-per-node", "2", "-m", "commonspace"]
