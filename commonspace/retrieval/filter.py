"""Filters: conditions of ``--where``, compiled to SQL with parameters.

Names are the fields of the items, and ``id``, ``split`` and ``label``. A field holds a number, a
string, true, false, or a list of them; a condition accepts a list if it accepts one of its values.
Strings are compared with strings and numbers with numbers (true is 1, false is 0); a value of
another type is neither smaller nor larger nor equal. A missing field equals nothing. So ``!=``,
``not in`` and ``not like`` are the complements of ``=``, ``in`` and ``like``, and ``not`` of what
follows it.

In ``like``, % stands for any characters and _ for one; upper and lower case are equal (in ASCII).
User input reaches SQLite as parameters, never as SQL. The grammar is in ``filter_syntax``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from commonspace.errors import SettingError
from commonspace.retrieval.filter_syntax import Check, Joined, Not, Tree, Value, parse, shorten

__all__ = ["BUILT_IN_FIELDS", "Filter", "compile_filter"]

BUILT_IN_FIELDS = ("id", "split", "label")
"""Names that every item has, beside its own fields."""

_TEXT = "e.type = 'text'"
_NUMBER = "e.type IN ('integer', 'real', 'true', 'false')"


@dataclass(frozen=True)
class Filter:
    """A filter in SQL, over the table ``items``."""

    sql: str
    """Names of columns and question marks; no user input."""
    parameters: tuple[Value, ...]


def compile_filter(text: str, fields: Mapping[str, int]) -> Filter:
    """Compile a condition.

    Args:
        text: the condition.
        fields: name of a field -> its position in the list ``items.fields``.

    Raises:
        SettingError: If it is invalid, or names a field that no item has.

    Example:
        >>> compiled = compile_filter("price < 50 and split = 'test'", {"price": 0})
        >>> compiled.parameters
        ('$[0]', 50, 'test')
        >>> compile_filter("prise < 50", {"price": 0})
        Traceback (most recent call last):
            ...
        commonspace.errors.SettingError: no item has the field 'prise'
          expected: one of id, split, label, price
          found:    'prise' in: prise < 50
          to do:    did you mean price?
    """
    return _compile(parse(text), text, fields)


def _compile(tree: Tree, text: str, fields: Mapping[str, int]) -> Filter:
    if isinstance(tree, Not):
        inner = _compile(tree.inner, text, fields)
        return Filter(f"(NOT {inner.sql})", inner.parameters)
    if isinstance(tree, Joined):
        parts = [_compile(part, text, fields) for part in tree.parts]
        sql = f" {tree.word.upper()} ".join(part.sql for part in parts)
        return Filter(f"({sql})", tuple(one for part in parts for one in part.parameters))
    if tree.name not in BUILT_IN_FIELDS and tree.name not in fields:
        raise _unknown(tree.name, text, fields)
    column, of_column = _column(tree.name, fields)
    test, of_test = _test(tree)
    sql = f"EXISTS (SELECT 1 FROM {column} AS e WHERE {test})"
    return Filter(sql, (*of_column, *of_test))


def _column(name: str, fields: Mapping[str, int]) -> tuple[str, tuple[Value, ...]]:
    """Return a table of the values of a field, one a row, and its parameters."""
    if name in ("id", "split"):
        return f"(SELECT 'text' AS type, items.{name} AS value)", ()
    if name == "label":
        return "json_each(items.labels)", ()
    return "json_each(items.fields, ?)", (f"$[{fields[name]}]",)


def _test(check: Check) -> tuple[str, Sequence[Value]]:
    """Return the SQL that tests one value, ``e.value``, and its parameters."""
    if check.sign == "present":
        return "e.value IS NOT NULL", ()
    texts = [value for value in check.values if isinstance(value, str)]
    numbers = [value for value in check.values if not isinstance(value, str)]
    if check.sign != "in":
        kind = _TEXT if texts else _NUMBER
        return f"{kind} AND e.value {check.sign.upper()} ?", check.values
    parts = [
        f"({kind} AND e.value IN ({', '.join('?' * len(some))}))"
        for kind, some in ((_TEXT, texts), (_NUMBER, numbers))
        if some
    ]
    return f"({' OR '.join(parts)})", [*texts, *numbers]


def _unknown(name: str, text: str, fields: Mapping[str, int]) -> SettingError:
    known = [*BUILT_IN_FIELDS, *fields]
    close = get_close_matches(name, known, n=1)
    shown = ", ".join(known[:30]) + (f" and {len(known) - 30} more" if len(known) > 30 else "")
    return SettingError(
        f"no item has the field {shorten(name)!r}",
        expected=f"one of {shown}",
        found=f"{shorten(name)!r} in: {shorten(text)}",
        advice=f"did you mean {close[0]}?"
        if close
        else "write strings in quotes, and names with spaces or signs in backquotes",
    )
