"""How many trainings run at a time follows from what the machine has."""

import os

import pytest
import torch

from commonspace import machine


def test_one_for_each_core_of_this_process_or_one_on_an_accelerator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if hasattr(os, "sched_getaffinity"):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 6})
        assert machine.cores() == 3
    for device, expected in (("cpu", machine.cores()), ("cuda", 1)):
        monkeypatch.setattr(machine, "choose_device", lambda _, name=device: torch.device(name))
        assert machine.trainings_at_a_time() == expected
