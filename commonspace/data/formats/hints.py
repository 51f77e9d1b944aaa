"""Hints at keys that are likely meant as a known one, where the known one is missing."""

from collections.abc import Mapping

from commonspace.data.formats.names import (
    IMAGE_HINTS,
    TEXT_HINTS,
    is_label_hint,
    is_split_hint,
)
from commonspace.data.reading import WarningLog

__all__ = ["add_hints", "likely_names"]

_OPTIONS = {"image": "--modality image=", "text": "--modality text=", "label": "--label "}


def likely_names(role: str, names: Mapping[str, str]) -> list[str]:
    """Return the keys that are likely meant as a role.

    Args:
        role: "image", "text", "label" or "split".
        names: key -> the name without its split.

    Example:
        >>> likely_names("label", {"price": "price", "y_train": "y"})
        ['y_train']
    """
    if role == "label":
        return [key for key, name in names.items() if is_label_hint(name)]
    if role == "split":
        return [key for key in names if is_split_hint(key)]
    known = IMAGE_HINTS if role == "image" else TEXT_HINTS
    return [key for key, name in names.items() if name.casefold() in known]


def add_hints(
    names: Mapping[str, str],
    missing: Mapping[str, str],
    source: str,
    warnings: WarningLog,
    *,
    lack: str = "no key is named",
    mapped: bool = True,
) -> None:
    """Warn of keys that are likely meant as a role for which the source has none.

    Args:
        names: key -> the name without its split, as the option takes it.
        missing: role -> the name of the key that is missing, for "image", "text", "label", "split".
        source: what to call the source.
        warnings: gets one sentence for each role.
        lack: how the sentence says that a key is missing.
        mapped: whether ``--modality`` and ``--label`` work with this source.
    """
    for role, known in missing.items():
        found = likely_names(role, names)
        if not found:
            continue
        if role == "split":
            warnings.add(
                f"{source}: {lack} {known!r}, but {found[0]!r}: the splits are drawn; to give them,"
                f" write train, validation or test for each sample under {known!r}"
            )
            continue
        option = f", or give {_OPTIONS[role]}{names[found[0]]}" if mapped else ""
        warnings.add(f"{source}: {lack} {known!r}, but {found[0]!r}: rename it if meant so{option}")
