"""Method names: which class and settings each name of the command line and of ``compare`` means.

Other packages add names by entry points of the group ``commonspace.methods``.

Classes are imported when a method is made, so that listing the names loads no torch.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, NamedTuple

from commonspace.errors import SettingError
from commonspace.settings import convert_setting, unknown_setting

__all__ = [
    "GROUP",
    "METHODS",
    "MethodEntry",
    "apply_settings",
    "installed_methods",
    "make_method",
    "method_names",
]

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
    "cmdn": MethodEntry("CMDN"),
    "ccl": MethodEntry("CCL"),
    "sdml": MethodEntry("SDML"),
    "mrl": MethodEntry("MRL"),
    "rono": MethodEntry("RONO"),
    "algcn": MethodEntry("ALGCN"),
    "prototype": MethodEntry("PrototypeLearning"),
    "fume": MethodEntry("FUME"),
    "dcmh": MethodEntry("DCMH"),
    "ensemble-probe": MethodEntry("EnsembleProbe"),
    "raw": MethodEntry("RawFeatures"),
    "linear-probe": MethodEntry("LinearProbe"),
    "knn": MethodEntry("NearestNeighbors"),
    "tip-adapter": MethodEntry("TipAdapter"),
    "tip-adapter-f": MethodEntry("TipAdapter", {"trained": True}),
    "boosted": MethodEntry("BoostedTrees"),
    "cca": MethodEntry("CCA"),
    "rcca": MethodEntry("CCA", {"regularization": None}),
    "kcca": MethodEntry("KernelCCA"),
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
            expected=f"one of {', '.join(method_names())}",
            found=repr(name),
            advice="see docs/methods.md",
        )
    return installed[name].load()(**settings)


def installed_methods() -> dict[str, EntryPoint]:
    """Return the methods of other installed packages by name; built-in names take precedence."""
    return {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in METHODS}


def method_names() -> tuple[str, ...]:
    """Return the names of all methods: the built-in ones, then those of other packages."""
    return (*METHODS, *installed_methods())


def apply_settings(target: Any, settings: Mapping[str, Any], owner: str = "") -> Any:  # noqa: ANN401
    """Return a method with settings that were read from a file or the command line.

    Args:
        target: The method; a dataclass.
        settings: Name -> value, as TOML has them; a dictionary for a nested ``Settings``.
        owner: Its name in messages; empty: that of its class.

    Raises:
        SettingError: If a setting is unknown, or a value is out of range.
    """
    kind = type(target)
    names = [one.name for one in fields(kind) if one.init]
    values = {}
    for key, value in settings.items():
        if key not in names:
            raise unknown_setting(owner or kind.__name__, key, sorted(names))
        inner = getattr(target, key)
        if isinstance(value, Mapping):
            values[key] = apply_settings(inner, value) if is_dataclass(inner) else dict(value)
        else:
            values[key] = convert_setting(kind, key, value)
    return replace(target, **values) if values else target
