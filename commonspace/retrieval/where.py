"""The language of ``--where``: conditions on the fields of items, made into SQL with parameters.

    condition  = all { "or" all }
    all        = one { "and" one }
    one        = "not" one | "(" condition ")" | name test
    test       = ("=" | "!=" | "<" | "<=" | ">" | ">=") value
               | ["not"] "in" "(" value { "," value } ")"
               | ["not"] "like" string
               | "is" ["not"] "null"
    value      = number | string | "true" | "false"

Strings stand in single or double quotes, a doubled quote inside is one; a name that is no word
stands in backquotes. Words such as ``and`` may be written in capitals. The names are those of the
items' fields, and ``id``, ``split`` and ``label``.

A field may hold a number, a string, true, false, or a list of those; a condition holds for a list
where it holds for one of its values. Strings are compared with strings and numbers with numbers
(true is 1, false is 0): what is of another kind is neither smaller nor larger nor equal. A field
that an item lacks equals nothing. So ``!=``, ``not in`` and ``not like`` are exactly what ``=``,
``in`` and ``like`` are not, and ``not`` always gives the rest.

In a ``like`` the sign % stands for any characters and _ for one; capitals do not matter (in ASCII).
Whatever the user wrote reaches SQLite as a parameter, never as SQL. This module knows no database.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NoReturn

from commonspace.errors import SettingError

__all__ = ["BUILT_IN_FIELDS", "Condition", "condition"]

BUILT_IN_FIELDS = ("id", "split", "label")
"""The names that every item has, beside its own fields."""

_DEEPEST = 100
_LONGEST = 100_000
_MOST = 500
_MOST_VALUES = 20_000
_LONGEST_PATTERN = 1000
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    |(?P<string>'(?:[^']|'')*'|"(?:[^"]|"")*")
    |(?P<quoted>`(?:[^`]|``)+`)
    |(?P<word>[^\W\d]\w*(?:[.\-]\w+)*)
    |(?P<sign><=|>=|!=|<>|==|=|<|>|\(|\)|,)
    )""",
    re.VERBOSE,
)
_WORDS = frozenset({"and", "or", "not", "in", "is", "null", "like", "true", "false"})
_COMPARED = {"=": "=", "==": "=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}

Value = str | float | int


@dataclass(frozen=True)
class Condition:
    """A condition in SQL, over the table ``items``."""

    sql: str
    """It holds names of columns and question marks, nothing that a user wrote."""
    parameters: tuple[Value, ...]


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


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
    if len(text) > _LONGEST:
        raise SettingError(
            "a condition is too long",
            expected=f"at most {_LONGEST:,} characters",
            found=f"{len(text):,}",
            advice="divide it, or choose among the found ones in your program",
        )
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise SettingError(
            "a condition is no text",
            expected="text that UTF-8 can hold",
            found=ascii(text)[:80],
            advice="write it in UTF-8",
        ) from exc
    return _Parser(text, fields).parsed()


class _Parser:
    """A descent through the grammar, one method a rule."""

    def __init__(self, text: str, fields: Mapping[str, int]) -> None:
        self.text = text
        self.fields = fields
        self.tokens = self._tokens()
        self.place = 0
        self.depth = self.tests = 0
        self.parameters: list[Value] = []

    def parsed(self) -> Condition:
        sql = self._condition()
        if self.tokens[self.place].kind != "end":
            self._wrong("the end, and, or")
        return Condition(sql, tuple(self.parameters))

    def _tokens(self) -> list[_Token]:
        tokens, at = [], 0
        end = len(self.text.rstrip())
        while at < end:
            match = _TOKEN.match(self.text, at)
            if match is None or match.end() == at:
                self._broken(at + len(self.text[at:]) - len(self.text[at:].lstrip()))
            kind = str(match.lastgroup)
            word = match.group(kind)
            if kind == "word" and word.lower() in _WORDS:
                kind, word = word.lower(), word.lower()
            tokens.append(_Token(kind, word, match.start(match.lastgroup or 0)))
            at = match.end()
        return [*tokens, _Token("end", "the end", end)]

    def _condition(self) -> str:
        parts = [self._all()]
        while self._took("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else f"({' OR '.join(parts)})"

    def _all(self) -> str:
        parts = [self._one()]
        while self._took("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else f"({' AND '.join(parts)})"

    def _one(self) -> str:
        self.depth += 1
        if self.depth > _DEEPEST:
            self._wrong(f"at most {_DEEPEST} conditions inside each other")
        if self._took("not"):
            sql = f"(NOT {self._one()})"
        elif self._took("("):
            sql = self._condition()
            if not self._took(")"):
                self._wrong(") or and or or")
        else:
            sql = self._tested()
        self.depth -= 1
        return sql

    def _tested(self) -> str:
        token = self.tokens[self.place]
        if token.kind not in ("word", "quoted"):
            self._wrong("the name of a field, not, or (")
        self.place += 1
        text = token.text
        name = text[1:-1].replace("``", "`") if token.kind == "quoted" else text
        if name not in BUILT_IN_FIELDS and name not in self.fields:
            self._unknown(name)
        if self._took("is"):
            absent = not self._took("not")
            if not self._took("null"):
                self._wrong("null")
            present = self._some(name, "e.value IS NOT NULL", ())
            return f"(NOT {present})" if absent else present
        negated = self._took("not")
        if self._took("in"):
            sql = self._any_of(name)
        elif self._took("like"):
            sql = self._some(name, "e.type = 'text' AND e.value LIKE ?", (self._string(),))
        elif negated:
            self._wrong("in or like")
        else:
            return self._compared(name)
        return f"(NOT {sql})" if negated else sql

    def _compared(self, name: str) -> str:
        sign = self.tokens[self.place].text
        if sign not in _COMPARED and sign not in ("!=", "<>"):
            self._wrong("=, !=, <, <=, >, >=, in, like or is")
        self.place += 1
        value = self._value()
        equal = _COMPARED.get(sign, "=")
        sql = self._some(name, f"{_same_kind(value)} AND e.value {equal} ?", (value,))
        return sql if sign in _COMPARED else f"(NOT {sql})"

    def _any_of(self, name: str) -> str:
        if not self._took("("):
            self._wrong("( and a list of values")
        values = [self._value()]
        while self._took(","):
            values.append(self._value())
        if not self._took(")"):
            self._wrong("a comma or )")
        texts = [value for value in values if isinstance(value, str)]
        numbers = [value for value in values if not isinstance(value, str)]
        parts: list[str] = []
        parameters: list[Value] = []
        for kind, some in ((_TEXT, texts), (_NUMBER, numbers)):
            if some:
                parts.append(f"({kind} AND e.value IN ({', '.join('?' * len(some))}))")
                parameters += some
        return self._some(name, f"({' OR '.join(parts)})", parameters)

    def _some(self, name: str, test: str, parameters: Sequence[Value]) -> str:
        """Return: some value of the field passes the test, which calls it ``e.value``."""
        if name in ("id", "split"):
            column = f"(SELECT 'text' AS type, items.{name} AS value)"
        elif name == "label":
            column = "json_each(items.labels)"
        else:
            column = "json_each(items.fields, ?)"
            self.parameters.append(f"$[{self.fields[name]}]")
        self.parameters += parameters
        self.tests += 1
        if self.tests > _MOST or len(self.parameters) > _MOST_VALUES:
            self._wrong(f"at most {_MOST} tests and {_MOST_VALUES:,} values, in(...) for lists")
        return f"EXISTS (SELECT 1 FROM {column} AS e WHERE {test})"

    def _value(self) -> Value:
        token = self.tokens[self.place]
        if token.kind not in ("true", "false", "number", "string"):
            self._wrong("a number, a string in quotes, true or false")
        self.place += 1
        if token.kind == "number":
            return _number(token.text)
        if token.kind != "string":
            return int(token.kind == "true")
        quote = token.text[0]
        return token.text[1:-1].replace(quote * 2, quote)

    def _string(self) -> str:
        value = self._value()
        if not isinstance(value, str) or len(value) > _LONGEST_PATTERN:
            self.place -= 1
            self._wrong(f"a string in quotes, of at most {_LONGEST_PATTERN} characters")
        return value

    def _took(self, wanted: str) -> bool:
        token = self.tokens[self.place]
        took = wanted in (token.kind, token.text if token.kind == "sign" else "")
        self.place += took
        return took

    def _wrong(self, expected: str) -> NoReturn:
        token = self.tokens[self.place]
        raise SettingError(
            "a condition cannot be understood",
            expected=expected,
            found=f"{_short(token.text)} at character {token.at + 1} of: {_short(self.text)}",
            advice='write it like: label = "Watches" and price < 50',
        )

    def _broken(self, at: int) -> NoReturn:
        quote = self.text[at] in "'\"`"
        raise SettingError(
            "a condition cannot be understood",
            expected="names, numbers, strings in quotes, signs and parentheses",
            found=f"{self.text[at : at + 10]} at character {at + 1} of: {_short(self.text)}",
            advice="close the quote that begins there"
            if quote
            else 'write it like: label = "Watches" and price < 50',
        )

    def _unknown(self, name: str) -> NoReturn:
        known = [*BUILT_IN_FIELDS, *self.fields]
        close = get_close_matches(name, known, n=1)
        shown = ", ".join(known[:30]) + (f" and {len(known) - 30} more" if len(known) > 30 else "")
        raise SettingError(
            f"no item has the field {_short(name)!r}",
            expected=f"one of {shown}",
            found=f"{_short(name)!r} in: {_short(self.text)}",
            advice=f"did you mean {close[0]}?"
            if close
            else "a string goes in quotes, a name that is no word in backquotes",
        )


_TEXT = "e.type = 'text'"
_NUMBER = "e.type IN ('integer', 'real', 'true', 'false')"


def _same_kind(value: Value) -> str:
    return _TEXT if isinstance(value, str) else _NUMBER


def _number(text: str) -> float | int:
    """Return an integer that SQLite can hold, else a float."""
    try:
        whole = int(text)
    except ValueError:
        return float(text)
    return whole if -(2**63) <= whole < 2**63 else float(whole)


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"
