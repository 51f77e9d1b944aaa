"""Conditions mean what a plain Python reading says, and reach SQLite as parameters alone."""

import json
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commonspace.errors import SettingError
from commonspace.retrieval.filter import compile_filter
from commonspace.retrieval.filter_syntax import parse

FIELDS = {"price": 0, "brand": 1, "sale": 2, "tags": 3, "a name": 4, "x.y-z": 5}

ITEMS: list[dict[str, Any]] = [
    {"id": "a", "split": "train", "label": ["hats"], "price": 20, "brand": "Nike", "sale": True},
    {"id": "b", "split": "test", "label": ["hats", "red"], "price": 49.5, "brand": "nike"},
    {"id": "c", "split": "test", "label": [], "price": "20", "brand": "O'Neill", "sale": False},
    {"id": "7", "split": "train", "label": ["socks"], "tags": ["wool", "red", 3], "x.y-z": 1},
    {"id": "d", "split": "train", "label": ["socks"], "price": -1e3, "tags": [], "a name": 'q"`'},
    {"id": "e", "split": "validation", "label": ["hats"], "price": 0, "brand": "", "tags": "red"},
]


def database(items: list[dict[str, Any]]) -> sqlite3.Connection:
    """Return a table of items as the store keeps them."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE items (item INTEGER PRIMARY KEY, id, split, labels, fields)")
    for number, item in enumerate(items):
        fields = [item.get(name) for name in FIELDS]
        row = (number, item["id"], item["split"], json.dumps(item["label"]), json.dumps(fields))
        connection.execute("INSERT INTO items VALUES (?, ?, ?, ?, ?)", row)
    return connection


def found(text: str, items: list[dict[str, Any]] = ITEMS) -> str:
    """Return the ids of the items that a condition holds for, one after the other."""
    made = compile_filter(text, FIELDS)
    connection = database(items)
    rows = connection.execute(f"SELECT id FROM items WHERE {made.sql}", made.parameters).fetchall()
    connection.close()
    return "".join(row[0] for row in rows)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("price < 50", "abde"),  # "20" is a string: neither smaller nor larger
        ("price <= 20 and price >= 0", "ae"),
        ("price = 20", "a"),
        ("price = 20.0", "a"),
        ("price = '20'", "c"),
        ("price != 20", "bc7de"),
        ("price <> 20", "bc7de"),
        ("price == 2e1", "a"),
        ("price > -1001 and price < -.5", "d"),
        ('brand = "Nike"', "a"),
        ("brand like 'NIKE'", "ab"),
        ("brand not like 'n%'", "c7de"),
        ("brand like 'N_ke'", "ab"),
        ("brand = 'O''Neill'", "c"),
        ("brand = ''", "e"),
        ("sale = true", "a"),
        ("sale = FALSE", "c"),
        ("sale is null", "b7de"),
        ("sale is not null", "ac"),
        ("tags = 'red'", "7e"),
        ("tags = 3", "7"),
        ("tags != 'red'", "abcd"),
        ("tags is null", "abcd"),
        ('label = "hats"', "abe"),
        ("label = 'hats' AND label = 'red'", "b"),
        ("label is null", "c"),
        ("label in ('socks', 'red')", "b7d"),
        ("label not in ('socks', 'red')", "ace"),
        ("price in (20, '20', 0)", "ace"),
        ("id = '7'", "7"),
        ("id = 7", ""),
        ("split = 'test'", "bc"),
        ("not split = 'test'", "a7de"),
        ("not not split = 'test'", "bc"),
        ("split = 'test' or id = 'a' and price = 0", "bc"),  # and binds more closely
        ("(split = 'test' or id = 'a') and price = 20", "a"),
        ("`a name` = 'q\"`'", "d"),
        ("x.y-z = 1", "7"),
    ],
)
def test_known_answers(text: str, ids: str) -> None:
    assert found(text) == ids


Oracle = Callable[[dict[str, Any]], bool]


def values_of(item: dict[str, Any], name: str) -> list[Any]:
    value = item.get(name)
    return value if isinstance(value, list) else [] if value is None else [value]


def compared(name: str, sign: str, value: Any) -> Oracle:  # noqa: ANN401
    """Return the plain reading of a comparison."""

    def holds(item: dict[str, Any]) -> bool:
        same = [
            one for one in values_of(item, name) if isinstance(one, str) == isinstance(value, str)
        ]
        return {
            "=": any(one == value for one in same),
            "!=": not any(one == value for one in same),
            "<": any(one < value for one in same),
            "<=": any(one <= value for one in same),
            ">": any(one > value for one in same),
            ">=": any(one >= value for one in same),
        }[sign]

    return holds


NAMES = st.sampled_from(["price", "brand", "sale", "tags", "label", "id"])
TEXTS = st.text("ab'\"%_`\\;-", max_size=4)
NUMBERS = st.integers(-5, 5) | st.floats(-9, 9).map(lambda value: round(value, 2))
SCALARS = TEXTS | NUMBERS | st.booleans()


def spelt(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if not isinstance(value, str) else "'" + value.replace("'", "''") + "'"


@st.composite
def comparisons(draw: st.DrawFn) -> tuple[str, Oracle]:
    name, value = draw(NAMES), draw(SCALARS)
    sign = draw(st.sampled_from(["=", "!=", "<", "<=", ">", ">="]))
    return f"{name} {sign} {spelt(value)}", compared(name, sign, value)


def both(left: tuple[str, Oracle], right: tuple[str, Oracle]) -> tuple[str, Oracle]:
    return f"({left[0]} and {right[0]})", lambda item: left[1](item) and right[1](item)


def either(left: tuple[str, Oracle], right: tuple[str, Oracle]) -> tuple[str, Oracle]:
    return f"({left[0]} or {right[0]})", lambda item: left[1](item) or right[1](item)


CONDITIONS = st.recursive(
    comparisons(),
    lambda inner: (
        st.builds(both, inner, inner)
        | st.builds(either, inner, inner)
        | inner.map(lambda one: (f"not {one[0]}", lambda item: not one[1](item)))
    ),
    max_leaves=6,
)

ROWS = st.fixed_dictionaries(
    {"id": st.text("abc", max_size=2), "split": st.just("train")},
    optional={
        "price": SCALARS,
        "brand": TEXTS,
        "sale": st.booleans(),
        "tags": st.lists(SCALARS, max_size=3),
    },
).map(lambda item: {"label": [], **item})


@settings(deadline=None, max_examples=100)
@given(CONDITIONS, st.lists(ROWS, max_size=4))
def test_any_condition_holds_where_its_plain_reading_does(
    made: tuple[str, Oracle], items: list[dict[str, Any]]
) -> None:
    numbered = [{**item, "id": f"{item['id']};{place}"} for place, item in enumerate(items)]
    expected = "".join(item["id"] for item in numbered if made[1](item))
    assert found(made[0], numbered) == expected


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=30) | st.text("price<>=!()'\"`andornt 12,;-%", max_size=30))
def test_any_text_is_a_condition_or_is_refused(text: str) -> None:
    """Whatever is written, SQLite gets names of columns and question marks."""
    try:
        made = compile_filter(text, FIELDS)
    except SettingError:
        return
    assert made.sql.count("?") == len(made.parameters)
    words = made.sql
    for known in ("EXISTS (SELECT 1 FROM", "json_each(items.fields, ?)", "json_each(items.labels)"):
        words = words.replace(known, "")
    for name in ("id", "split"):
        words = words.replace(f"(SELECT 'text' AS type, items.{name} AS value)", "")
    for piece in ("'integer'", "'real'", "'true'", "'false'", "'text'", "e.type", "e.value"):
        words = words.replace(piece, "")
    for word in ("AS e", "WHERE", "NOT", "AND", "OR", "IN", "LIKE", "IS NULL", "IS", "NULL"):
        words = words.replace(word, "")
    assert set(words) <= set(" ()=<>,?")


@pytest.mark.parametrize("digits", [19, 20, 309, 4000, 5000])
def test_numbers_of_any_length_are_compared(digits: int) -> None:
    """Where an integer is too long for SQLite, and for a float, it is infinite."""
    every = found("price > -1e300")
    assert found(f"price < {'9' * digits}") == every
    assert found(f"price > -{'9' * digits}") == every
    assert found(f"price = {'9' * digits}") == ""


@pytest.mark.parametrize(
    "attempt",
    [
        "price = 1; DROP TABLE items",
        "price = 1 UNION SELECT 1",
        "price = 1 -- comment",
        "1 = 1",
        "price = (SELECT 1)",
        "items.id = 'a'",
        "item = 1",
        "rowid = 1",
        "json_extract(fields, '$') = 1",
        "price = 1 or 1",
        "price = ?",
    ],
)
def test_attempts_at_injection_are_refused(attempt: str) -> None:
    with pytest.raises(SettingError):
        compile_filter(attempt, FIELDS)


def test_strings_that_look_like_sql_are_strings() -> None:
    assert found("brand = 'x'' OR 1=1 --'") == ""
    assert found("brand != 'x'' OR 1=1 --'") == "abc7de"


@pytest.mark.parametrize(
    ("text", "expected", "said"),
    [
        ("prise < 5", "one of id, split, label, price, brand", "did you mean price?"),
        ("price <", "a number, a string", "the end at character 8"),
        ("price < 'a", "names, numbers", "close the quote"),
        ("price 5", "=, !=", "5 at character 7"),
        ("price = 5 price = 6", "the end, and, or", "price at character 11"),
        ("(price = 5", ")", "the end"),
        ("price in ()", "a number, a string", ") at character 11"),
        ("price in (1 2)", "a comma or )", "2 at character 13"),
        ("price like 5", "a string in quotes", "5 at"),
        ("price is 5", "null", "5 at"),
        ("price not 5", "in or like", "5 at"),
        ("", "the name of a field", "found:    nothing"),
        ("price = nike", "a number, a string in quotes", "nike at character 9"),
        ("not " * 200 + "price = 1", "inside each other", "not at"),
        ("(" * 200 + "price = 1", "inside each other", "( at"),
        (" or ".join(["price = 1"] * 600), "at most 500 tests", "or at"),
        (f"price in ({', '.join('1' * 30000)})", "20,000 values", "the end"),
        ("price = " + "1" * 200_000, "100,000 characters", "200,008"),
    ],
)
def test_what_is_no_condition_is_refused_with_its_place(
    text: str, expected: str, said: str
) -> None:
    with pytest.raises(SettingError) as caught:
        compile_filter(text, FIELDS)
    assert expected in str(caught.value)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_the_largest_allowed_condition_runs() -> None:
    assert found(" or ".join(["price = 20"] * 500)) == "a"
    assert found("(" * 90 + "price = 20" + ")" * 90) == "a"
    assert found(f"price in ({', '.join(map(str, range(15_000)))})") == "ae"
    assert found("price = 99999999999999999999999") == ""


def test_a_quoted_name_gets_advice_on_backquotes() -> None:
    with pytest.raises(SettingError, match=r"in backquotes: `Product Name` = 5"):
        parse('"Product Name" = "a"')
