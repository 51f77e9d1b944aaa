"""Method names: which class and settings each name of the command line and of ``compare`` means.

Other packages add names by entry points of the group ``commonspace.methods``.

Classes are imported when a method is made, so that listing the names loads no torch.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, NamedTuple

from commonspace.errors import SettingError

__all__ = ["GROUP", "METHODS", "MethodEntry", "installed_methods", "make_method"]

GROUP = "commonspace.methods"
"""Entry point group of methods in other packages."""


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
    "dccae": MethodEntry("DCCAE"),
    "ccl": MethodEntry("CCL"),
    "sdml": MethodEntry("SDML"),
    "mrl": MethodEntry("MRL"),
    "raw": MethodEntry("RawFeatures"),
    "linear-probe": MethodEntry("LinearProbe"),
    "knn": MethodEntry("NearestNeighbors"),
    "cca": MethodEntry("CCA"),
    "rcca": MethodEntry("CCA", {"regularization": None}),
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
    if name in METHODS:
        entry = METHODS[name]
        method_class = getattr(import_module("commonspace.methods"), entry.class_name)
        return method_class(**{**entry.settings, **settings})
    installed = installed_methods()
    if name not in installed:
        raise SettingError(
            f"unknown method {name!r}",
            expected=f"one of {', '.join([*METHODS, *installed])}",
            found=repr(name),
            advice="see docs/methods.md",
        )
    return installed[name].load()(**settings)


def installed_methods() -> dict[str, EntryPoint]:
    """Return the methods of other installed packages by name; built-in names take precedence."""
    return {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in METHODS}
