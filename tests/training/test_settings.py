"""The settings of a training, the device and the precision that they stand for."""

from typing import Any

import pytest
import torch

from commonspace import machine
from commonspace.errors import SettingError
from commonspace.machine import choose_device, choose_precision
from commonspace.training import TrainingSettings

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("betas", (0.9, 1.0)),
        ("betas", (-0.1, 0.9)),
        ("patience", 0),
        ("seed", -1),
        ("seed", 2**63),
        ("precision", "float64"),
        ("accumulate", 0),
        ("average", 0),
        ("minutes", 0.0),
    ],
)
def test_an_invalid_setting_is_refused(name: str, value: Any) -> None:  # noqa: ANN401
    given: dict[str, Any] = {"epochs": 1, "batch_size": 1, "learning_rate": 1.0, name: value}
    with pytest.raises(SettingError, match=f"`{name}` must be ") as caught:
        TrainingSettings(**given)
    assert caught.value.found == repr(value)


def test_the_limits_themselves_work() -> None:
    settled = TrainingSettings(1, 1, 1e-9, betas=(0.0, 0.0), patience=1, seed=2**63 - 1)
    assert settled.seed == 2**63 - 1


def test_a_device_is_taken_by_name_or_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_device("cpu") == CPU
    for found, expected in ((None, "cpu"), (torch.device("cuda"), "cuda")):
        monkeypatch.setattr(
            torch.accelerator, "current_accelerator", lambda check_available, it=found: it
        )
        assert choose_device("auto").type == expected


@pytest.mark.parametrize("name", ["abacus", "cuda:99", ""])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(SettingError, match="no device"):
        choose_device(name)


@pytest.mark.parametrize("native", [True, False])
def test_auto_is_bfloat16_only_where_it_is_native(
    native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_has_bfloat16", lambda device: native)
    assert choose_precision("auto", CPU) == (torch.bfloat16 if native else torch.float32)
    assert choose_precision("bfloat16", CPU) == torch.bfloat16
    assert choose_precision("float32", CPU) == torch.float32


def test_a_processor_without_the_instructions_has_no_native_bfloat16(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for abilities, expected in (
        ({}, torch.float32),
        ({"avx512_bf16": False, "amx_bf16": False}, torch.float32),
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda it=abilities: it)
        assert choose_precision("auto", CPU) == expected


def test_an_unknown_precision_is_refused() -> None:
    unknown: Any = "float16"
    with pytest.raises(SettingError, match="precision"):
        choose_precision(unknown, CPU)
