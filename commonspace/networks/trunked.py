"""What networks of branches have in common: a trunk for each modality, by any name it may have.

It knows nothing of what follows the trunks.
"""

from collections.abc import Mapping
from dataclasses import Field
from typing import Any, ClassVar, Protocol

from torch import nn

from commonspace.networks.trunks import trunk_from_config

__all__ = ["Trunked", "TrunkedConfig"]


class TrunkedConfig(Protocol):
    """A frozen dataclass with all that is needed to build the network again."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def trunks(self) -> Mapping[str, Mapping[str, Any]]:
        """Modality name -> description of its trunk, ``{"kind": ..., ...}``."""


class Trunked(nn.Module):
    """The base of networks that begin with a trunk for each modality.

    Its subclasses are built from their config alone, as ``Subclass(config)``.

    Args:
        config: says which trunks.
    """

    config: TrunkedConfig

    def __init__(self, config: TrunkedConfig) -> None:
        """Build the trunks with fresh weights from torch's global generator."""
        super().__init__()
        self.config = config
        # By number, for torch takes neither "a.b" nor "type" for the name of a module.
        self._numbers = {name: number for number, name in enumerate(config.trunks)}
        self.trunks = nn.ModuleList(map(trunk_from_config, config.trunks.values()))

    @property
    def modalities(self) -> tuple[str, ...]:
        """The names of the branches, in order."""
        return tuple(self.config.trunks)

    def trunk(self, modality: str) -> nn.Module:
        """Return the trunk of a branch."""
        return self.trunks[self._numbers[modality]]

    def put_trunk(self, modality: str, trunk: nn.Module) -> None:
        """Put a trunk with weights of its own in place of the one that the config built.

        Args:
            modality: the branch.
            trunk: built from the same description.
        """
        assert trunk.size == self.trunk(modality).size
        self.trunks[self._numbers[modality]] = trunk
