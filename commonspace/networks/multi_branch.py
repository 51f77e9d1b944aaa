"""What networks of branches have in common: a backbone for each modality, by any name it may have.

It knows nothing of what follows the backbones.
"""

from collections.abc import Mapping
from dataclasses import Field
from typing import Any, ClassVar, Protocol

from torch import nn

from commonspace.networks.backbones import backbone_from_config

__all__ = ["MultiBranchConfig", "MultiBranchNetwork"]


class MultiBranchConfig(Protocol):
    """A frozen dataclass with all that is needed to build the network again."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def backbones(self) -> Mapping[str, Mapping[str, Any]]:
        """Modality name -> description of its backbone, ``{"kind": ..., ...}``."""


class MultiBranchNetwork(nn.Module):
    """The base of networks that begin with a backbone for each modality.

    Its subclasses are built from their config alone, as ``Subclass(config)``.

    Args:
        config: says which backbones.
    """

    config: MultiBranchConfig

    def __init__(self, config: MultiBranchConfig) -> None:
        """Build the backbones with fresh weights from torch's global generator."""
        super().__init__()
        self.config = config
        # By number, for torch takes neither "a.b" nor "type" for the name of a module.
        self._numbers = {name: number for number, name in enumerate(config.backbones)}
        self.backbones = nn.ModuleList(map(backbone_from_config, config.backbones.values()))

    @property
    def modalities(self) -> tuple[str, ...]:
        """The names of the branches, in order."""
        return tuple(self.config.backbones)

    def backbone(self, modality: str) -> nn.Module:
        """Return the backbone of a branch."""
        return self.backbones[self._numbers[modality]]

    def put_backbone(self, modality: str, backbone: nn.Module) -> None:
        """Put a backbone with weights of its own in place of the one that the config built.

        Args:
            modality: the branch.
            backbone: built from the same description.
        """
        assert backbone.size == self.backbone(modality).size
        self.backbones[self._numbers[modality]] = backbone
