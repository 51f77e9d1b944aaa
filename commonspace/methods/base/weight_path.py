"""Path from the weights before a training to those after it: validation chooses a point on it."""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

__all__ = ["LAST_EPOCHS", "choose_position"]

LAST_EPOCHS = 2
"""Epochs at the end of a training of encoders whose weights are averaged."""
POSITIONS = (0.5, 0.75, 1.0)
"""Points between the weights before (0) and after (1)."""


@torch.no_grad()
def choose_position(
    network: nn.Module,
    before: Mapping[str, Tensor],
    names: Iterable[str],
    loss: Callable[[], float],
) -> tuple[float, float]:
    """Set the weights of a network to the best point between those before and after a training.

    Source: Wortsman et al.: Robust Fine-Tuning of Zero-Shot Models, CVPR 2022.

    Args:
        network: After training; it is changed in place.
        before: Name of a tensor of the state -> its value before training.
        names: The tensors that move; those that are not floating-point numbers stay.
        loss: Returns the loss of the network on validation.

    Returns:
        The position, from 0 (before) to 1 (after), and its loss.
    """
    state = network.state_dict()
    after = {name: state[name].clone() for name in names if state[name].is_floating_point()}

    def move(position: float) -> None:
        network.load_state_dict(
            {name: before[name].lerp(tensor, position) for name, tensor in after.items()},
            strict=False,
        )

    losses = {}
    for position in POSITIONS:
        move(position)
        losses[position] = loss()
    best = min(losses, key=losses.__getitem__)
    move(best)
    return best, losses[best]
