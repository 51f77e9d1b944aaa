"""Every error this package raises on purpose, in one small tree.

    CommonspaceError
    ├── DataError             the data set itself is wrong (also a ValueError)
    │   ├── FileFormatError   a file is corrupt, cut short, or of a kind nobody here reads
    │   └── SplitError        a split is empty, impossible, or holds what training never saw
    ├── SettingError          an option has a value that cannot work (also a ValueError)
    ├── SpaceError            a saved space or checkpoint cannot be used
    ├── StoreError            an index is damaged, busy, or bound to another space
    ├── TrainingError         training cannot go on
    ├── OutputError           a result cannot be written
    ├── ServiceError          a service refused what it was asked, or does not answer
    └── MissingExtraError     an optional dependency is not installed (also an ImportError)

Each message says what is wrong, what was expected, what came, and what to do about it.
This module knows nothing of the others.
"""

from collections.abc import Iterable

__all__ = [
    "CommonspaceError",
    "DataError",
    "FileFormatError",
    "MissingExtraError",
    "OutputError",
    "ServiceError",
    "SettingError",
    "SpaceError",
    "SplitError",
    "StoreError",
    "TrainingError",
    "check_settings",
]


class CommonspaceError(Exception):
    """The root: catch it to catch whatever this package says on purpose.

    Args:
        problem: what is wrong, with the name of the file, column or option.
        expected: what would have been right.
        found: what came instead.
        advice: what to do now.

    Example:
        >>> print(DataError("rows do not match", expected="4", found="3", advice="drop one"))
        rows do not match
          expected: 4
          found:    3
          to do:    drop one
    """

    def __init__(
        self, problem: str, *, expected: str = "", found: str = "", advice: str = ""
    ) -> None:
        """Keep the parts and compose the message from those that are not empty."""
        self.problem, self.expected, self.found, self.advice = problem, expected, found, advice
        parts = {"expected: ": expected, "found:    ": found, "to do:    ": advice}
        lines = [problem, *(f"  {head}{text}" for head, text in parts.items() if text)]
        super().__init__("\n".join(lines))


class DataError(CommonspaceError, ValueError):
    """The data set itself is wrong: its rows, values, labels or names."""


class FileFormatError(DataError):
    """A file is corrupt, cut short, or of a kind that nobody here reads."""


class SplitError(DataError):
    """A split is empty, impossible to draw, or holds a class that training never saw."""


class SettingError(CommonspaceError, ValueError):
    """An option has a value that cannot work."""


class SpaceError(CommonspaceError):
    """A saved space or checkpoint is damaged, of another version, or of another shape."""


class StoreError(CommonspaceError):
    """An index cannot be used: damaged, taken by another writer, or bound to another space."""


class TrainingError(CommonspaceError):
    """Training cannot go on: the loss is not finite, or there is nothing to learn from."""


class OutputError(CommonspaceError):
    """A result cannot be written: the place is taken, or the disk is full."""


class ServiceError(CommonspaceError):
    """A service refused what it was asked, or does not answer.

    Args:
        problem: what is wrong.
        status: of HTTP; 0 where nothing answered.
        expected: what would have been right.
        found: what came instead.
        advice: what to do now.
    """

    def __init__(
        self,
        problem: str,
        *,
        status: int = 0,
        expected: str = "",
        found: str = "",
        advice: str = "",
    ) -> None:
        """Keep the status beside the parts of the message."""
        self.status = status
        super().__init__(problem, expected=expected, found=found, advice=advice)


class MissingExtraError(CommonspaceError, ImportError):
    """An optional dependency is not installed; the message gives the command that mends it."""


def check_settings(owner: object, checks: Iterable[tuple[str, bool, str]]) -> None:
    """Refuse the first setting that cannot work.

    Args:
        owner: whose attributes the settings are.
        checks: of each the name, whether it is fine, and what was expected.

    Raises:
        SettingError: one is not fine.

    Example:
        >>> from types import SimpleNamespace
        >>> check_settings(SimpleNamespace(k=1), [("k", True, "a whole number from 1")])
    """
    for name, fine, expected in checks:
        if not fine:
            raise SettingError(
                f"the setting {name} cannot work",
                expected=expected,
                found=repr(getattr(owner, name)),
                advice="leave it out to take the default",
            )
