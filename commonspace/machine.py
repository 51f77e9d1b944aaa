"""Device, precision and threads of this machine, and software versions."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import get_args

import torch
from threadpoolctl import threadpool_limits

from commonspace.errors import SettingError
from commonspace.settings import Precision

__all__ = [
    "Precision",
    "available_cores",
    "choose_device",
    "choose_precision",
    "default_jobs",
    "one_thread",
    "versions",
]


def choose_device(device: str | torch.device) -> torch.device:
    """Return the device of a name; "auto" is the accelerator, or the CPU if there is none.

    Args:
        device: "auto", or a name that torch knows, such as "cuda:0".

    Raises:
        SettingError: If this machine has no such device.
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
            expected=f"auto, {', '.join(_devices())}",
            found=str(exc).splitlines()[0].split(". ")[0],
            advice='leave it out: "auto" is the fastest device',
        ) from exc
    return chosen


def choose_precision(precision: Precision, device: torch.device) -> torch.dtype:
    """Return the type of matrix products on a device: bfloat16 or float32.

    Args:
        precision: "auto" is bfloat16 on devices with bfloat16 arithmetic.
        device: The device.

    Raises:
        SettingError: If the name is unknown.
    """
    if precision == "auto":
        return torch.bfloat16 if _has_bfloat16(device) else torch.float32
    names = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    if precision not in names:
        raise SettingError(
            f"`precision` must be one of {', '.join(map(repr, get_args(Precision)))},"
            f" got {precision!r}",
            advice="leave it out for the default",
        )
    return names[precision]


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit the BLAS of NumPy and SciPy to one thread inside the block; torch is not affected.

    Methods in closed form are many small products, for which threads cost more than they save: on
    two cores, one thread takes a half to a fifth of the time of two. Results are then the same to
    the last digit on any number of cores.
    """
    with threadpool_limits(1, user_api="blas"):
        yield


def available_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    usable = getattr(os, "sched_getaffinity", None)  # not on every platform
    return len(usable(0)) if usable else os.cpu_count() or 1


def default_jobs() -> int:
    """Return how many processes should train in parallel: one a core, or one on an accelerator."""
    return 1 if choose_device("auto").type != "cpu" else available_cores()


def versions() -> dict[str, str]:
    """Return the versions that a result depends on, for its provenance."""
    packages = ("commonspace", "torch", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def _devices() -> list[str]:
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator is None:
        return ["cpu"]
    count = torch.accelerator.device_count()
    numbered = [f"{accelerator.type}:{number}" for number in range(count)] if count > 1 else []
    return ["cpu", accelerator.type, *numbered]


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
