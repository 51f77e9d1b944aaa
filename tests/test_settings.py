"""Declared settings: ranges, types, inheritance, text forms and pickling."""

import copy
import pickle
from dataclasses import FrozenInstanceError, asdict, replace
from typing import Any, Literal

import pytest

from commonspace.errors import SettingError
from commonspace.settings import (
    Settings,
    convert_setting,
    declared,
    describe_settings,
    setting,
)


class Base(Settings):
    """Settings for tests."""

    size: int = setting(3, help="Size.", low=1, high=9)
    rate: float = setting(0.5, help="Rate.", above=0, below=1)
    limit: int | None = setting(None, help="Limit.", low=1)
    mode: Literal["a", "b"] = setting("a", help="Mode.", choices=("a", "b"))
    flag: bool = setting(False, help="Flag.")
    pair: tuple[float, float] = setting((0.1, 0.2), help="Pair.", low=0, below=1)
    free: str = "x"


class Derived(Base):
    """A default of its own, and a new setting."""

    size: int = 5
    more: float = declared(Base, "rate", 0.25)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "`size` must be >= 1 and <= 9, got 0"),
        ({"size": 10}, "`size` must be >= 1 and <= 9, got 10"),
        ({"size": 2.5}, "`size` must be a whole number >= 1 and <= 9, got 2.5"),
        ({"size": True}, "`size` must be a whole number >= 1 and <= 9, got True"),
        ({"size": "3"}, "`size` must be a whole number >= 1 and <= 9, got '3'"),
        ({"size": None}, "`size` must be a whole number >= 1 and <= 9, got None"),
        ({"rate": 0.0}, "`rate` must be > 0 and < 1, got 0.0"),
        ({"rate": float("nan")}, "`rate` must be a finite number > 0 and < 1, got nan"),
        ({"rate": float("inf")}, "`rate` must be a finite number > 0 and < 1, got inf"),
        ({"limit": 0}, "`limit` must be >= 1 or None, got 0"),
        ({"mode": "c"}, "`mode` must be 'a' or 'b', got 'c'"),
        ({"flag": 1}, "`flag` must be True or False, got 1"),
        ({"pair": (0.1, 1.0)}, "`pair` must be a tuple of two numbers >= 0 and < 1"),
        ({"pair": (0.1,)}, "`pair` must be a tuple of two numbers >= 0 and < 1"),
    ],
)
def test_invalid_values_are_refused(options: dict[str, Any], message: str) -> None:
    for kind in (Base, Derived):
        with pytest.raises(SettingError) as caught:
            kind(**options)
        assert message in str(caught.value)
        assert caught.value.advice


def test_the_bounds_themselves_are_valid() -> None:
    Base(size=1, rate=1e-9, limit=1, pair=(0.0, 0.999))
    Base(size=9, rate=1 - 1e-9, limit=None, mode="b", flag=True)


def test_a_subclass_keeps_help_and_range_of_a_default_it_overrides() -> None:
    rows = {row["name"]: row for row in describe_settings(Derived)}
    assert rows["size"] == {
        "name": "size",
        "type": "int",
        "default": "5",
        "range": ">= 1 and <= 9",
        "help": "Size.",
    }
    assert rows["more"]["range"] == "> 0 and < 1"
    assert Derived().more == 0.25
    assert "more: Rate. Default: 0.25. Must be > 0 and < 1." in (Derived.__doc__ or "")


def test_unknown_names_are_refused_with_the_closest() -> None:
    with pytest.raises(SettingError, match="Derived has no setting `sise`") as caught:
        Derived(sise=3)  # type: ignore[call-arg]
    assert caught.value.advice == "use `size`"


def test_instances_are_frozen_and_can_be_copied_pickled_and_replaced() -> None:
    one = Derived(size=2)
    with pytest.raises(FrozenInstanceError):
        one.size = 3  # type: ignore[misc]
    assert copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == one
    assert replace(one, size=4).size == 4
    assert asdict(one)["size"] == 2


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("limit", "none", None),
        ("free", "none", "none"),
        ("rate", 1, 1.0),
        ("pair", [0.5, 0.6], (0.5, 0.6)),
        ("size", 3, 3),
    ],
)
def test_values_are_converted_to_the_type_of_the_field(
    name: str, value: object, expected: object
) -> None:
    result = convert_setting(Base, name, value)
    assert result == expected
    assert type(result) is type(expected)
