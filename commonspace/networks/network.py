"""Interface of the networks of a common space, their base class, and the built-in ones by kind."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import Field
from importlib import import_module
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, Self

from torch import Tensor, nn

from commonspace.errors import SettingError, SpaceError
from commonspace.networks.backbones.build import VectorBackbone, backbone_from_config

__all__ = [
    "BUILT_IN",
    "MultiBranchConfig",
    "MultiBranchNetwork",
    "Network",
    "build_network",
    "check_network",
    "describe_network",
    "use_networks",
]

BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "boosted": "commonspace.networks.boosted:BoostedNetwork",
        "branches": "commonspace.networks.branches:BranchesNetwork",
        "dscmr": "commonspace.networks.dscmr:DSCMRNetwork",
        "feature-cache": "commonspace.networks.feature_cache:FeatureCacheNetwork",
        "ensemble": "commonspace.networks.ensemble:EnsembleNetwork",
        "hashing": "commonspace.networks.hashing:HashingNetwork",
        "hierarchical": "commonspace.networks.hierarchical:HierarchicalNetwork",
        "kernel": "commonspace.networks.kernel:KernelNetwork",
        "linear": "commonspace.networks.linear:LinearNetwork",
        "neighbors": "commonspace.networks.neighbors:NeighborsNetwork",
        "shared-space": "commonspace.networks.shared_space:SharedSpaceNetwork",
        "posterior": "commonspace.networks.posterior:PosteriorNetwork",
        "zero-shot-posterior": "commonspace.networks.zero_shot_posterior:ZeroShotPosteriorNetwork",
    }
)
"""Kind -> import path; a class is imported when a network of its kind is built."""

CUSTOM = "custom"
"""Kind of a user-defined network: its class is passed to ``load``, never imported."""


_PROVIDED: dict[str, type[nn.Module]] = {}
"""Classes of ``use_networks``, for all threads, since a service loads models in one of its own."""


class Network(Protocol):
    """Interface of a network: a ``torch.nn.Module`` that embeds items of several modalities.

    A network with an instance block also has ``has_instance_block``, which is True, and
    ``as_queries(vectors, instance_weight)``, which returns query vectors of the same shape.

    Example:
        >>> import torch
        >>> class Cosine(torch.nn.Module):
        ...     modalities = ("image", "text")
        ...     dimension = 3
        ...     def embed(self, modality, inputs):
        ...         return torch.nn.functional.normalize(inputs)
        ...     def to_config(self):
        ...         return {}
        ...     @classmethod
        ...     def from_config(cls, config):
        ...         return cls()
        >>> check_network(Cosine())
    """

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that it embeds."""

    @property
    def dimension(self) -> int:
        """d, the embedding dimension."""

    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        """Return (n, d) float32 embeddings, whose inner product is the score."""

    def to_config(self) -> dict[str, Any]:
        """Return the settings as JSON values."""

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build the network with fresh weights from what ``to_config`` returned."""


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


def check_network(network: nn.Module) -> None:
    """Check that a module can embed items.

    Raises:
        SettingError: If it is not a module with ``modalities``, ``dimension`` and ``embed``, if
            these have a wrong type, or if only one of ``has_instance_block`` and ``as_queries`` is
            declared.
    """
    missing = [name for name in ("modalities", "dimension", "embed") if not hasattr(network, name)]
    if not isinstance(network, nn.Module) or missing:
        raise SettingError(
            "`network` must follow commonspace.networks.Network",
            expected="a torch.nn.Module with `modalities`, `dimension` and `embed`",
            found=f"{type(network).__name__}"
            + (f" without {', '.join(missing)}" if missing else ""),
            advice="add what is missing; see help(commonspace.networks.Network)",
        )
    names, dimension = network.modalities, network.dimension
    strings = isinstance(names, tuple | list) and all(isinstance(name, str) for name in names)
    if not strings or not isinstance(dimension, int) or dimension < 1:
        raise SettingError(
            f"`modalities` and `dimension` of {type(network).__name__} have a wrong type",
            expected="a tuple of names, and a whole number >= 1",
            found=f"{names!r} and {dimension!r}",
            advice="make them attributes or properties, not methods",
        )
    declared = hasattr(network, "has_instance_block")
    if hasattr(network, "as_queries") != declared:
        raise SettingError(
            "`network` must declare both `has_instance_block` and `as_queries`, or neither",
            found=f"{type(network).__name__} with only"
            f" {'has_instance_block' if declared else 'as_queries'}",
            advice="an instance block needs both; see help(commonspace.networks.Network)",
        )


def describe_network(network: nn.Module) -> dict[str, Any]:
    """Return the kind and the config of a network as JSON values, for its file.

    Returns:
        ``{"kind", "config"}``; for a user-defined network also "class" and "module", its import
        path.

    Raises:
        SettingError: If ``to_config`` or ``from_config`` is missing, or if the config is not JSON.
    """
    cls = type(network)
    missing = [name for name in ("to_config", "from_config") if not hasattr(cls, name)]
    if missing:
        raise SettingError(
            f"a network of class {cls.__name__} cannot be saved",
            expected="methods to_config() -> dict of JSON values and the classmethod"
            " from_config(config) -> network",
            found=f"no {' and no '.join(missing)}",
            advice="add them; see help(commonspace.networks.Network)",
        )
    config = network.to_config()  # type: ignore[operator]
    try:
        json.dumps(config)
    except (TypeError, ValueError) as exc:
        raise SettingError(
            f"a network of class {cls.__name__} cannot be saved",
            expected="a dict of JSON values from to_config()",
            found=str(exc),
            advice="return numbers, strings, lists and dicts only",
        ) from exc
    path = f"{cls.__module__}:{cls.__qualname__}"
    for kind, known in BUILT_IN.items():
        if path == known:
            return {"kind": kind, "config": config}
    return {"kind": CUSTOM, "class": cls.__name__, "module": cls.__module__, "config": config}


@contextmanager
def use_networks(networks: Mapping[str, type[nn.Module]]) -> Iterator[None]:
    """Provide classes of user-defined networks for all models that are loaded in the block.

    ``load`` takes them directly; an index and a service load the model themselves.

    Args:
        networks: Class name -> class.

    Example:
        >>> class Mine(nn.Identity):
        ...     modalities, dimension, embed = (), 1, None
        ...     @classmethod
        ...     def from_config(cls, config):
        ...         return cls()
        >>> with use_networks({"Mine": Mine}):
        ...     build_network({"kind": "custom", "class": "Mine", "module": "m", "config": {}})
        Mine()
    """
    before = dict(_PROVIDED)
    _PROVIDED.update(networks)
    try:
        yield
    finally:
        _PROVIDED.clear()
        _PROVIDED.update(before)


def build_network(
    description: Mapping[str, Any], networks: Mapping[str, type[nn.Module]] | None = None
) -> nn.Module:
    """Build a network with fresh weights from what ``describe_network`` returned.

    Code is never imported because a description names it: the class of a user-defined network
    comes from ``networks``, or from ``use_networks``.

    Args:
        description: Kind and config.
        networks: Class name, or "module:class" -> class of a user-defined network.

    Raises:
        SpaceError: If the kind is unknown, or a user-defined class is not in ``networks``.
    """
    kind, config = description.get("kind"), description.get("config")
    if not isinstance(config, Mapping):
        raise SpaceError(
            "the description of the network has no config",
            expected="a JSON object",
            found=repr(config),
            advice="restore the file from a copy, or train again",
        )
    if kind in BUILT_IN:
        module, _, name = BUILT_IN[str(kind)].partition(":")
        built: nn.Module = getattr(import_module(module), name).from_config(config)
        return built
    if kind != CUSTOM:
        raise SpaceError(
            "the network is of an unknown kind",
            expected=", ".join([*BUILT_IN, CUSTOM]),
            found=repr(kind),
            advice="the file may come from a newer version of commonspace: update commonspace",
        )
    name, path = (
        str(description.get("class")),
        f"{description.get('module')}:{description.get('class')}",
    )
    known = {**_PROVIDED, **(networks or {})}
    cls = known.get(name, known.get(path))
    if cls is None:
        raise SpaceError(
            f"the network is user-defined, of class {path}",
            expected=f'its class in `networks`, as in load(path, networks={{"{name}": {name}}})',
            found=", ".join(known) if known else "no `networks`",
            advice="pass the class; on the command line: commonspace --network FILE.py:"
            f"{name} COMMAND (no code is imported because a file names it)",
        )
    if not hasattr(cls, "from_config"):
        raise SettingError(
            f"`networks` must hold classes of networks, got {cls!r} for {name!r}",
            advice="pass the class itself, with its classmethod from_config",
        )
    custom: nn.Module = cls.from_config(config)  # type: ignore[attr-defined]
    check_network(custom)
    return custom
