"""Base class of networks with a backbone for each modality."""

from collections.abc import Mapping
from copy import copy
from dataclasses import Field
from typing import Any, ClassVar, Protocol, Self

from torch import nn

from commonspace.networks.backbones.build import VectorBackbone, backbone_from_config

__all__ = ["MultiBranchConfig", "MultiBranchNetwork"]


class MultiBranchConfig(Protocol):
    """A frozen dataclass with all settings of a network."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def backbones(self) -> Mapping[str, Mapping[str, Any]]:
        """Modality -> description of its backbone, ``{"kind": ..., ...}``."""


class MultiBranchNetwork(nn.Module):
    """Base class of networks that start with a backbone for each modality.

    Subclasses are built from their config alone, as ``Subclass(config)``. Branches are numbered in
    the order of ``config.backbones``.

    Args:
        config: Dataclass that describes the backbones.
    """

    config: MultiBranchConfig

    def __init__(self, config: MultiBranchConfig) -> None:
        super().__init__()
        self.config = config
        # Numbers, since torch accepts neither "a.b" nor "type" as the name of a module.
        self._numbers = {name: number for number, name in enumerate(config.backbones)}
        self.backbones = nn.ModuleList(map(backbone_from_config, config.backbones.values()))

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities, in the order of the branches."""
        return tuple(self.config.backbones)

    def backbone(self, modality: str) -> nn.Module:
        """Return the backbone of a modality."""
        return self.backbones[self._numbers[modality]]

    def without_backbone(self, modality: str) -> Self:
        """Return a network with the same weights that reads the features of one modality.

        Args:
            modality: The branch; its input becomes the (n, size) features of its backbone.
        """
        twin = copy(self)
        twin._modules = dict(self._modules)
        twin.backbones = nn.ModuleList(self.backbones)
        twin.replace_backbone(modality, VectorBackbone(int(self.backbone(modality).size)))  # type: ignore[arg-type]
        return twin

    def replace_backbone(self, modality: str, backbone: nn.Module) -> None:
        """Replace the backbone of a modality, for example by one with pretrained weights.

        Args:
            modality: The branch.
            backbone: Built from the same description, so that its ``size`` is the same.
        """
        assert backbone.size == self.backbone(modality).size
        self.backbones[self._numbers[modality]] = backbone
