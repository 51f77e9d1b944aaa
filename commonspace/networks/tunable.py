"""A backbone that comes with trained weights, and how much of it training may change.

It knows nothing of optimisers: what must not change has ``requires_grad`` off and stays in
evaluation mode, whatever mode the network around it is in.
"""

from collections.abc import Sequence
from typing import Literal, Self

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from commonspace.errors import SettingError

__all__ = ["FINE_TUNING", "FineTuning", "Tunable"]

FineTuning = Literal["none", "top", "all"]

FINE_TUNING: tuple[FineTuning, ...] = ("none", "top", "all")
"""Nothing learns, the last block learns, everything learns."""


class Tunable(nn.Module):
    """The base of backbones with trained weights.

    The running statistics of batch norm never change: those of the training images, which are
    many, beat those of a small batch. Its weights do change where their block learns.
    """

    size: int
    """The length of a feature vector."""

    def __init__(self) -> None:
        """Begin with everything able to learn."""
        super().__init__()
        self._part: FineTuning = "all"

    def top(self) -> Sequence[nn.Module]:
        """Return the modules of the last block, the ones that "top" trains."""
        raise NotImplementedError

    def checkpoint_gradients(self) -> None:
        """Keep fewer activations while training and compute them again: less memory, more time.

        Raises:
            SettingError: this architecture cannot.
        """
        raise SettingError(
            f"{type(self).__name__} cannot trade time for memory",
            expected="a backbone with gradient checkpointing, such as vgg19",
            found="one without",
            advice="leave the option out and choose a smaller batch",
        )

    def tune(self, part: FineTuning) -> None:
        """Choose what may learn.

        Raises:
            SettingError: an unknown part.
        """
        if part not in FINE_TUNING:
            raise SettingError(
                "the part of the backbones to be trained is unknown",
                expected=", ".join(map(repr, FINE_TUNING)),
                found=repr(part),
                advice="'none' keeps them as they are, 'all' trains them whole",
            )
        self._part = part
        self.requires_grad_(part == "all")
        if part == "top":
            for module in self.top():
                module.requires_grad_(True)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of what may learn; the rest stays in evaluation mode."""
        super().train(mode and self._part == "all")
        if self._part == "top":
            for module in self.top():
                module.train(mode)
        self.training = mode and self._part != "none"
        for module in self.modules():
            if isinstance(module, _BatchNorm):
                module.eval()
        return self
