"""What a condition of ``--where`` means, in SQL with parameters; see ``where_syntax`` for its form.

The names are those of the items' fields, and ``id``, ``split`` and ``label``. A field may hold a
number, a string, true, false, or a list of those; a condition holds for a list where it holds for
one of its values. Strings are compared with strings and numbers with numbers (true is 1, false is
0): what is of another kind is neither smaller nor larger nor equal. A field that an item lacks
equals nothing. So ``!=``, ``not in`` and ``not like`` are exactly what ``=``, ``in`` and ``like``
are not, and ``not`` always gives the rest.

In a ``like`` the sign % stands for any characters and _ for one; capitals do not matter (in ASCII).
Whatever the user wrote reaches SQLite as a parameter, never as SQL. This module knows no database.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from commonspace.errors import SettingError
from commonspace.retrieval.where_syntax import Check, Joined, Not, Tree, Value, parsed, short

__all__ = ["BUILT_IN_FIELDS", "Condition", "condition"]

BUILT_IN_FIELDS = ("id", "split", "label")
"""The names that every item has, beside its own fields."""

_TEXT = "e.type = 'text'"
_NUMBER = "e.type IN ('integer', 'real', 'true', 'false')"


@dataclass(frozen=True)
class Condition:
    """A condition in SQL, over the table ``items``."""

    sql: str
    """It holds names of columns and question marks, nothing that a user wrote."""
    parameters: tuple[Value, ...]


def condition(text: str, fields: Mapping[str, int]) -> Condition:
    """Translate a condition.

    Args:
        text: what the user wrote.
        fields: name of a field -> its place in the list that ``items.fields`` holds.

    Raises:
        SettingError: it is no condition, or names a field that no item has.

    Example:
        >>> found = condition("price < 50 and split = 'test'", {"price": 0})
        >>> found.parameters
        ('$[0]', 50, 'test')
        >>> condition("prise < 50", {"price": 0})
        Traceback (most recent call last):
            ...
        commonspace.errors.SettingError: no item has the field 'prise'
          expected: one of id, split, label, price
          found:    'prise' in: prise < 50
          to do:    did you mean price?
    """
    return _compiled(parsed(text), text, fields)


def _compiled(tree: Tree, text: str, fields: Mapping[str, int]) -> Condition:
    if isinstance(tree, Not):
        inner = _compiled(tree.inner, text, fields)
        return Condition(f"(NOT {inner.sql})", inner.parameters)
    if isinstance(tree, Joined):
        parts = [_compiled(part, text, fields) for part in tree.parts]
        sql = f" {tree.word.upper()} ".join(part.sql for part in parts)
        return Condition(f"({sql})", tuple(one for part in parts for one in part.parameters))
    if tree.name not in BUILT_IN_FIELDS and tree.name not in fields:
        raise _unknown(tree.name, text, fields)
    column, of_column = _column(tree.name, fields)
    passed, of_passed = _passed(tree)
    sql = f"EXISTS (SELECT 1 FROM {column} AS e WHERE {passed})"
    return Condition(sql, (*of_column, *of_passed))


def _column(name: str, fields: Mapping[str, int]) -> tuple[str, tuple[Value, ...]]:
    """Return a table of the values of a field, one a row, and its parameters."""
    if name in ("id", "split"):
        return f"(SELECT 'text' AS type, items.{name} AS value)", ()
    if name == "label":
        return "json_each(items.labels)", ()
    return "json_each(items.fields, ?)", (f"$[{fields[name]}]",)


def _passed(check: Check) -> tuple[str, Sequence[Value]]:
    """Return what a value, which is called ``e.value``, must pass, and its parameters."""
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
        f"no item has the field {short(name)!r}",
        expected=f"one of {shown}",
        found=f"{short(name)!r} in: {short(text)}",
        advice=f"did you mean {close[0]}?"
        if close
        else "a string goes in quotes, a name that is no word in backquotes",
    )
