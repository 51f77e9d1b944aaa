"""Warnings about the spelling of class names that is legal but likely wrong."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Any

from commonspace.data.reading import WarningLog
from commonspace.data.vocabulary import MISSING

__all__ = ["warn_of_spellings"]

_SEPARATORS = ("|", ";", ",")
_MOST = 10
"""Findings of one kind that are named; the rest is counted."""


def warn_of_spellings(
    rows: Sequence[Any],
    decoded: Sequence[tuple[str, ...]],
    source: str,
    warnings: WarningLog,
) -> None:
    """Name missing values spelled in letters, names that are nearly equal, and cells of several.

    Args:
        rows: n labels as the source gives them, without given class names.
        decoded: the class names in each.
        source: what to call the labels in messages.
        warnings: gets one sentence for each finding.
    """
    strings = Counter(value.strip() for value in rows if isinstance(value, str))
    missing = sorted(name for name in strings if name and name in MISSING)
    if missing:
        count = sum(strings[name] for name in missing)
        warnings.add(
            f"{source}: {', '.join(map(repr, missing))} mean no label here:"
            f" {count} sample{'' if count == 1 else 's'}"
        )
    found = Counter(name for names in decoded for name in names)
    _warn_of_near_names(found, source, warnings)
    for mark in _SEPARATORS:
        _warn_of_separator(mark, found, source, warnings)


def _warn_of_near_names(found: Counter[str], source: str, warnings: WarningLog) -> None:
    folded: dict[str, list[str]] = {}
    for name in sorted(found):
        folded.setdefault(_fold(name), []).append(name)
    near = [several for several in folded.values() if len(several) > 1]
    for several in near[:_MOST]:
        case = len({name.casefold() for name in several}) == 1
        each = ", ".join(f"{name!r} ({found[name]})" for name in several)
        warnings.add(
            f"{source}: classes whose names differ only in"
            f" {'case' if case else 'case, width, hyphens or blanks'}: {each}: write them alike if"
            " they are one class"
        )
    if len(near) > _MOST:
        warnings.add(f"{source}: {len(near) - _MOST} more sets of names that are nearly equal")


def _fold(name: str) -> str:
    """Return what is left of a name without case, width, hyphens, underscores and blanks."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return re.sub(r"[-_\s]+", " ", plain).strip() or name


def _warn_of_separator(mark: str, found: Counter[str], source: str, warnings: WarningLog) -> None:
    """Name classes such as "kite|dog" whose parts are classes, or parts of other such names."""
    parts = {
        name: [part.strip() for part in name.split(mark)] for name in sorted(found) if mark in name
    }
    parts = {name: several for name, several in parts.items() if all(several)}
    uses = Counter(part for several in parts.values() for part in set(several))
    joined = [
        name
        for name, several in parts.items()
        if any(part in found or uses[part] > 1 for part in several)
    ]
    if not joined:
        return
    name = joined[0]
    more = f" and {len(joined) - 1} more are" if len(joined) > 1 else " is"
    known = [part for part in parts[name] if part in found]
    why = (
        f"although {' and '.join(map(repr, known))} {'are classes' if known[1:] else 'is a class'}"
        if known
        else f"although their parts repeat, such as {parts[name][0]!r}"
    )
    warnings.add(
        f"{source}: {name!r}{more} read as one class{' each' * (len(joined) > 1)}, {why}:"
        " write several as a list"
    )
