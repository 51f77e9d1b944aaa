"""Hints for filters that no item passes."""

from typing import Any

import pytest

from commonspace.retrieval.filter_hints import filter_hints

VALUES: dict[str, dict[Any, int]] = {
    "label": {"kite": 3, "dog": 2, "boat": 1},
    "price": {5: 1, 7.5: 2},
    "year": {"2024": 1, "2025": 1},
    "sold": {True: 2, False: 1},
    "mixed": {"a": 1, 1: 1},
}

KITE = "no item has label = 'Kite': did you mean 'kite'?"


@pytest.mark.parametrize(
    ("where", "hints"),
    [
        ("label = 'Kite'", [KITE]),
        ("label = ' kite '", ["no item has label = ' kite ': did you mean 'kite'?"]),
        ("label = 'kites'", ["no item has label = 'kites': did you mean 'kite'?"]),
        ("label = 'Boats'", ["no item has label = 'Boats': did you mean 'boat'?"]),
        ("label in ('kite', 'dgo')", ["no item has label = 'dgo': did you mean 'dog'?"]),
        ("label = 'zebra'", ["no item has label = 'zebra'"]),
        ("label = 'kite'", []),
        ("label = 'Kite' or (label = 'Kite' and price < 1)", [KITE]),
        ("price < '5'", ["price is a number: write 5 without quotes"]),
        ("price < 'cheap'", ["price is a number"]),
        ("price < 1", []),
        ("year = 2024", ["year is text: write '2024' in quotes"]),
        ("sold = 'True'", ["sold is true or false: write True without quotes"]),
        ("mixed = 'b'", ["no item has mixed = 'b'"]),
        ("mixed = 2", []),
        ("not label = 'Kite'", []),
        ("label like 'Kit_'", []),
        ("label is null", []),
        ("id = 'x'", []),
    ],
)  # fmt: skip
def test_hints(where: str, hints: list[str]) -> None:
    assert filter_hints(where, VALUES) == hints
