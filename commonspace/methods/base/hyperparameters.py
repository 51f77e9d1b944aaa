"""What may be tried for the settings of a method: ranges and choices. Nothing is tried here.

A method that can be tuned says so in a class attribute ``search``: the name of a setting -> the
values that are worth a trial. The method as it stands is always the first trial.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from commonspace.errors import SettingError

__all__ = ["LEARNING_RATE", "Between", "OneOf", "SearchSpace"]


@dataclass(frozen=True)
class Between:
    """A number from ``low`` to ``high``, drawn evenly on a logarithmic scale.

    Args:
        low: the smallest, above 0.
        high: the largest.

    Raises:
        SettingError: the two do not make a range.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuse what is no range on a logarithmic scale."""
        if not 0 < self.low < self.high < float("inf"):
            raise SettingError(
                "a setting cannot be searched in this range",
                expected="0 < low < high",
                found=f"from {self.low} to {self.high}",
                advice="name single values with OneOf",
            )


@dataclass(frozen=True)
class OneOf:
    """One of a few values.

    Args:
        values: numbers or strings, at least two.

    Raises:
        SettingError: there is no choice.
    """

    values: tuple[float | str, ...]

    def __post_init__(self) -> None:
        """Refuse what leaves no choice."""
        if len(set(self.values)) < 2:
            raise SettingError(
                "a setting cannot be searched among these values",
                expected="at least two",
                found=repr(self.values),
                advice="set a single value instead of searching it",
            )


SearchSpace: TypeAlias = Mapping[str, Between | OneOf]
"""The name of a setting -> what may be tried for it."""

LEARNING_RATE = Between(5e-5, 2e-3)
"""Of Adam, for every method that trains a network: one range, so that none has a head start."""
