"""Search spaces of hyperparameters: ranges and choices.

A method that can be tuned has a class attribute ``search_space``: setting -> values to try. Its
defaults are always the first trial.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from commonspace.errors import SettingError

__all__ = ["LEARNING_RATE", "Between", "OneOf", "SearchSpace"]


@dataclass(frozen=True)
class Between:
    """A number from ``low`` to ``high``, drawn uniformly on a logarithmic scale.

    Args:
        low: Smallest value, > 0.
        high: Largest value.

    Raises:
        SettingError: If not 0 < low < high.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high < float("inf"):
            raise SettingError(
                "a search range must satisfy 0 < low < high",
                expected="0 < low < high",
                found=f"from {self.low} to {self.high}",
                advice="list single values with OneOf",
            )


@dataclass(frozen=True)
class OneOf:
    """One of a few values.

    Args:
        values: Numbers or strings, at least two.

    Raises:
        SettingError: If there are fewer than two different values.
    """

    values: tuple[float | str, ...]

    def __post_init__(self) -> None:
        if len(set(self.values)) < 2:
            raise SettingError(
                "a search needs at least two different values",
                expected="at least two",
                found=repr(self.values),
                advice="set a single value instead of searching it",
            )


SearchSpace: TypeAlias = Mapping[str, Between | OneOf]
"""Setting -> values that may be tried."""

LEARNING_RATE = Between(5e-5, 2e-3)
"""Learning rates of Adam to try, the same range for every method that trains a network."""
