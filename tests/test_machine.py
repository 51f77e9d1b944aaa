"""How many trainings run at a time follows from what the machine has."""

import os

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from commonspace import machine


def test_one_thread_holds_as_long_as_it_is_asked_for() -> None:
    def threads() -> set[int]:
        found = threadpool_info()
        return {one["num_threads"] for one in found if one["user_api"] == "blas"}

    np.linalg.eigh(np.eye(3))  # which loads what multiplies
    before = threads()
    with machine.one_thread():
        assert threads() == {1}
    assert threads() == before


def test_one_for_each_core_of_this_process_or_one_on_an_accelerator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if hasattr(os, "sched_getaffinity"):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 6})
        assert machine.cores() == 3
    for device, expected in (("cpu", machine.cores()), ("cuda", 1)):
        monkeypatch.setattr(machine, "choose_device", lambda _, name=device: torch.device(name))
        assert machine.trainings_at_a_time() == expected
