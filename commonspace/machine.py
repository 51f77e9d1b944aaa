"""What the machine at hand can do: which device there is, and which precision it is fast in."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import torch
from threadpoolctl import threadpool_limits

from commonspace.errors import SettingError

__all__ = [
    "Precision",
    "choose_device",
    "choose_precision",
    "cores",
    "one_thread",
    "trainings_at_a_time",
]

Precision = Literal["auto", "float32", "bfloat16"]


def choose_device(device: str | torch.device) -> torch.device:
    """Return the device that "auto" or a name stands for.

    Raises:
        SettingError: this machine has no such device.
    """
    if device == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return accelerator or torch.device("cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as exc:
        raise SettingError(
            f"this machine has no device {str(device)!r}",
            expected=f"auto, or one that it has: {', '.join(_devices())}",
            found=str(exc).splitlines()[0].split(". ")[0],
            advice='leave it out: "auto" takes the fastest there is',
        ) from exc
    return chosen


def choose_precision(precision: Precision, device: torch.device) -> torch.dtype:
    """Return the type of the matrix products on a device: bfloat16 or float32.

    Raises:
        SettingError: a name that is not a precision.
    """
    if precision == "auto":
        return torch.bfloat16 if _multiplies_bfloat16(device) else torch.float32
    names = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    if precision not in names:
        raise SettingError(
            "the setting precision cannot work",
            expected=" or ".join(map(repr, get_args(Precision))),
            found=repr(precision),
            advice="leave it out to take the default",
        )
    return names[precision]


@contextmanager
def one_thread() -> Iterator[None]:
    """Let numpy and scipy multiply on one thread meanwhile; torch is not concerned.

    Problems in closed form are many small products, on which threads wait for each other longer
    than they work: on two cores one thread takes a half to a fifth of the time of two. The figures
    are then the same, to the last digit, on any number of cores.
    """
    with threadpool_limits(1, user_api="blas"):
        yield


def cores() -> int:
    """Return the number of cores that this process may use."""
    usable = getattr(os, "sched_getaffinity", None)  # not everywhere
    return len(usable(0)) if usable else os.cpu_count() or 1


def trainings_at_a_time() -> int:
    """Return how many processes should train at a time: one a core, or one on an accelerator."""
    return 1 if choose_device("auto").type != "cpu" else cores()


def _devices() -> list[str]:
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator is None:
        return ["cpu"]
    count = torch.accelerator.device_count()
    numbered = [f"{accelerator.type}:{number}" for number in range(count)] if count > 1 else []
    return ["cpu", accelerator.type, *numbered]


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cpu":
        abilities = torch.cpu.get_capabilities()
        return bool(abilities.get("avx512_bf16") or abilities.get("amx_bf16"))
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
