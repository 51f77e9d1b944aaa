"""The errors that this package raises on purpose, and the check of settings.

    CommonspaceError
    ├── DataError             the data set is invalid (also a ValueError)
    │   ├── FileFormatError   a file is corrupt, truncated or of an unsupported type
    │   └── SplitError        a split is empty, impossible to draw, or has unknown classes
    ├── SettingError          an option has an invalid value (also a ValueError)
    ├── SpaceError            a saved space or checkpoint cannot be used
    ├── StoreError            an index is damaged, locked, or belongs to another space
    ├── TrainingError         training cannot continue
    ├── OutputError           a result cannot be written
    ├── ServiceError          a service rejected a request or does not answer
    └── MissingExtraError     an optional dependency is not installed (also an ImportError)

A message states what is wrong, what was expected, what was found, and what to do.
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
    "invalid_setting",
]


class CommonspaceError(Exception):
    """Base class of all errors that this package raises on purpose.

    Args:
        problem: What is wrong, with the name of the file, column or option.
        expected: What would be valid.
        found: What was found instead.
        advice: What to do now.

    Example:
        >>> print(DataError("row counts differ", expected="4", found="3", advice="drop one"))
        row counts differ
          expected: 4
          found:    3
          to do:    drop one
    """

    def __init__(
        self, problem: str, *, expected: str = "", found: str = "", advice: str = ""
    ) -> None:
        self.problem, self.expected, self.found, self.advice = problem, expected, found, advice
        parts = {"expected: ": expected, "found:    ": found, "to do:    ": advice}
        lines = [problem, *(f"  {head}{text}" for head, text in parts.items() if text)]
        super().__init__("\n".join(lines))


class DataError(CommonspaceError, ValueError):
    """The data set is invalid: its rows, values, labels or names."""


class FileFormatError(DataError):
    """A file is corrupt, truncated or of an unsupported type."""


class SplitError(DataError):
    """A split is empty, impossible to draw, or has a class that the train split lacks."""


class SettingError(CommonspaceError, ValueError):
    """An option has an invalid value."""


class SpaceError(CommonspaceError):
    """A saved space or checkpoint is damaged, of another version, or of another shape."""


class StoreError(CommonspaceError):
    """An index is damaged, locked by another writer, or belongs to another space."""


class TrainingError(CommonspaceError):
    """Training cannot continue: the loss is not finite, or there is no usable sample."""


class OutputError(CommonspaceError):
    """A result cannot be written: the path exists already, or the disk is full."""


class ServiceError(CommonspaceError):
    """A service rejected a request or does not answer.

    Args:
        problem: What is wrong.
        status: HTTP status; 0 if there was no answer.
        expected: What would be valid.
        found: What was found instead.
        advice: What to do now.
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
        self.status = status
        super().__init__(problem, expected=expected, found=found, advice=advice)


class MissingExtraError(CommonspaceError, ImportError):
    """An optional dependency is not installed; the message has the install command."""


def check_settings(owner: object, checks: Iterable[tuple[str, bool, str]]) -> None:
    """Raise an error for the first invalid setting.

    Args:
        owner: Object whose attributes are the settings.
        checks: (name, whether the value is valid, the constraint) of each setting. The constraint
            completes the sentence "`name` must be ...".

    Raises:
        SettingError: If a setting is invalid.

    Example:
        >>> from types import SimpleNamespace
        >>> loss = SimpleNamespace(margin=-1.0)
        >>> check_settings(loss, [("margin", loss.margin >= 0, ">= 0")])
        Traceback (most recent call last):
        commonspace.errors.SettingError: `margin` must be >= 0, got -1.0
          to do:    omit it to use the default
    """
    for name, valid, constraint in checks:
        if not valid:
            raise invalid_setting(name, getattr(owner, name), constraint)


def invalid_setting(name: str, value: object, constraint: str) -> SettingError:
    """Return the error for a setting outside its constraint, such as ">= 0"."""
    error = SettingError(
        f"`{name}` must be {constraint}, got {value!r}", advice="omit it to use the default"
    )
    error.expected, error.found = constraint, repr(value)
    return error
