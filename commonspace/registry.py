"""Method names: which class and settings each name of the command line and of ``compare`` means.

Classes are imported when a method is made, so that listing the names loads no torch.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

from commonspace.errors import SettingError

__all__ = ["METHODS", "MethodEntry", "make_method"]


class MethodEntry(NamedTuple):
    """The class of a method, and the settings that differ from its defaults."""

    class_name: str
    """Name in ``commonspace.methods``."""
    settings: Mapping[str, Any] = {}


METHODS: Mapping[str, MethodEntry] = {
    "dscmr": MethodEntry("DSCMR"),
    "posterior": MethodEntry("PosteriorMatching"),
    "infonce": MethodEntry("InfoNCE"),
    "supcon": MethodEntry("SupervisedContrastive"),
    "acmr": MethodEntry("ACMR"),
    "dcca": MethodEntry("DCCA"),
    "sdml": MethodEntry("SDML"),
    "raw": MethodEntry("RawFeatures"),
    "linear-probe": MethodEntry("LinearProbe"),
    "cca": MethodEntry("CCA"),
    "rcca": MethodEntry("CCA", {"regularisation": None}),
    "mcca": MethodEntry("MCCA"),
    "gma": MethodEntry("GMA"),
    "mvda": MethodEntry("MvDA"),
    "mvda-vc": MethodEntry("MvDA", {"consistency": None}),
    "sm": MethodEntry("SemanticMatching"),
    "sm-probability": MethodEntry("SemanticMatching", {"similarity": "probability"}),
    "scm": MethodEntry("SemanticMatching", {"canonical": True}),
    "jrl": MethodEntry("JRL"),
}
"""Every method by its name."""


def make_method(name: str, **settings: Any) -> Any:  # noqa: ANN401 - a Method of a higher layer
    """Return the method of this name.

    Args:
        name: a key of ``METHODS``.
        **settings: fields of its class, in place of its defaults.

    Raises:
        SettingError: the name is unknown, or a setting is invalid.

    Example:
        >>> type(make_method("cca")).__name__
        'CCA'
    """
    if name not in METHODS:
        raise SettingError(
            f"unknown method {name!r}",
            expected=f"one of {', '.join(METHODS)}",
            found=repr(name),
            advice="see docs/methods.md",
        )
    entry = METHODS[name]
    method_class = getattr(import_module("commonspace.methods"), entry.class_name)
    return method_class(**{**entry.settings, **settings})
