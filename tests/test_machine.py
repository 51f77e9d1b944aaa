"""Device, precision and threads of this machine."""

import os

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from commonspace import machine


def test_one_thread_applies_inside_the_block() -> None:
    def threads() -> set[int]:
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    np.linalg.eigh(np.eye(3))  # loads the BLAS
    before = threads()
    with machine.one_thread():
        assert threads() == {1}
    assert threads() == before


def test_default_jobs_are_one_a_core_or_one_on_an_accelerator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if hasattr(os, "sched_getaffinity"):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 6})
        assert machine.available_cores() == 3
    for device, expected in (("cpu", machine.available_cores()), ("cuda", 1)):
        monkeypatch.setattr(machine, "choose_device", lambda _, name=device: torch.device(name))
        assert machine.default_jobs() == expected
