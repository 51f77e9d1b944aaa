"""From a description to a backbone: the part of a branch that turns network input into features.

A backbone is a module with a ``size``: input of its own kind in, (n, size) features out. Which backbone a
space uses stands in its config file, as a kind and plain numbers.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from commonspace.errors import SpaceError
from commonspace.networks.image_cnn import ImageCNN
from commonspace.networks.pretrained import PretrainedImages, PretrainedTexts
from commonspace.networks.sentence_cnn import SentenceCNN
from commonspace.networks.several_texts import MeanOfTexts
from commonspace.networks.vgg19 import VGG19

__all__ = ["TRUNKS", "VectorBackbone", "backbone_from_config"]


class VectorBackbone(nn.Module):
    """Features that were computed before: they pass unchanged, as in the paper.

    Args:
        size: d, the length of one vector.
    """

    def __init__(self, size: int) -> None:
        """Keep the size."""
        super().__init__()
        self.size = size

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (n, size) floats as they come."""
        return inputs


TRUNKS: dict[str, Callable[..., nn.Module]] = {
    "vectors": VectorBackbone,
    "image_cnn": ImageCNN,
    "sentence_cnn": SentenceCNN,
    "vgg19": VGG19,
    "pretrained_images": PretrainedImages,
    "pretrained_texts": PretrainedTexts,
    "mean_of_texts": lambda backbone: MeanOfTexts(backbone_from_config(backbone)),
}


def backbone_from_config(config: Mapping[str, Any]) -> nn.Module:
    """Build a backbone with fresh weights.

    Args:
        config: ``{"kind": name in TRUNKS, ...}``, the rest being its arguments.

    Raises:
        SpaceError: the kind is unknown, or the arguments are not its own.
    """
    settings = dict(config)
    kind = settings.pop("kind", None)
    if kind not in TRUNKS:
        raise SpaceError(
            "the description of a network names an unknown backbone",
            expected=", ".join(TRUNKS),
            found=repr(kind),
            advice="the space may come from a newer version of commonspace: update it",
        )
    try:
        return TRUNKS[kind](**settings)
    except (TypeError, ValueError, KeyError) as exc:
        raise SpaceError(
            f"the description of the backbone {kind!r} does not fit",
            found=f"{settings} ({exc})",
            advice="the space may come from another version of commonspace",
        ) from exc
