"""How to train: order, optimiser, length, place and precision.

Numbers, and the choice of device and precision for the machine at hand; nothing is trained here.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch

from commonspace.errors import SettingError

__all__ = ["Precision", "TrainingSettings", "choose_device", "choose_precision"]

Precision = Literal["auto", "float32", "bfloat16"]

_PRECISIONS = " or ".join(map(repr, get_args(Precision)))


@dataclass(frozen=True)
class TrainingSettings:
    """The settings of one training run.

    Args:
        epochs: how often every sample is seen, at most.
        batch_size: samples in a step.
        learning_rate: of Adam.
        betas: of Adam.
        shuffle: whether each epoch has a new random order (seeded), or the order of the data.
        patience: after how many epochs without a better validation mAP to stop; None: never.
        seed: of the initial weights, the orders and whatever else is random.
        device: "auto", or what torch calls it: "cpu", "cuda", "cuda:1", "mps".
        precision: of the matrix products; the weights stay float32. "auto" takes bfloat16 where
            the hardware multiplies it natively.

    Raises:
        SettingError: a value that cannot work.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    betas: tuple[float, float] = (0.9, 0.999)
    shuffle: bool = True
    patience: int | None = None
    seed: int = 0
    device: str = "auto"
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        """Refuse what cannot work, before any time is spent."""
        checks = (
            ("epochs", self.epochs >= 1, "at least 1"),
            ("batch_size", self.batch_size >= 1, "at least 1"),
            ("learning_rate", 0 < self.learning_rate < float("inf"), "above 0 and finite"),
            ("betas", all(0 <= beta < 1 for beta in self.betas), "from 0 to below 1, both"),
            ("patience", self.patience is None or self.patience >= 1, "at least 1, or None"),
            ("seed", 0 <= self.seed < 2**63, "0 or more"),
            ("precision", self.precision in get_args(Precision), _PRECISIONS),
        )
        for name, fine, expected in checks:
            if not fine:
                raise SettingError(
                    f"the setting {name} cannot work",
                    expected=expected,
                    found=str(getattr(self, name)),
                    advice="leave it out to take the default",
                )


def choose_device(device: str) -> torch.device:
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
            f"this machine has no device {device!r}",
            expected='"auto", "cpu", "cuda" or "mps", as the machine has it',
            found=str(exc).splitlines()[0],
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
            expected=_PRECISIONS,
            found=repr(precision),
            advice="leave it out to take the default",
        )
    return names[precision]


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cpu":
        abilities = torch.cpu.get_capabilities()
        return bool(abilities.get("avx512_bf16") or abilities.get("amx_bf16"))
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
