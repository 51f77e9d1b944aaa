"""Construction of a module from a description that names its kind."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from commonspace.errors import SpaceError

__all__ = ["build_kind"]


def build_kind(
    noun: str,
    kinds: Mapping[str, Callable[..., nn.Module]],
    config: Mapping[str, Any],
    *first: int,
) -> nn.Module:
    """Build a module with fresh weights.

    Args:
        noun: What the modules are, for messages.
        kinds: Kind -> class or function.
        config: ``{"kind": a key of kinds, ...}``; the other keys are the arguments.
        first: Further arguments, before those of the config.

    Raises:
        SpaceError: If the kind is unknown, or the arguments do not fit it.

    Example:
        >>> build_kind("layer", {"linear": nn.Linear}, {"kind": "linear", "out_features": 2}, 3)
        Linear(in_features=3, out_features=2, bias=True)
    """
    arguments = dict(config)
    kind = arguments.pop("kind", None)
    if kind not in kinds:
        raise SpaceError(
            f"the config of a network has an unknown {noun}",
            expected=", ".join(kinds),
            found=repr(kind),
            advice="the model may come from a newer version of commonspace: update commonspace",
        )
    try:
        return kinds[kind](*first, **arguments)
    except (TypeError, ValueError, KeyError) as exc:
        raise SpaceError(
            f"the arguments of the {noun} {kind!r} do not fit",
            found=f"{arguments} ({exc})",
            advice="the model may come from another version of commonspace",
        ) from exc
