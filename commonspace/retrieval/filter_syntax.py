"""Grammar and parser of filters: the conditions of ``--where``.

    condition  = all { "or" all }
    all        = one { "and" one }
    one        = "not" one | "(" condition ")" | name test
    test       = ("=" | "!=" | "<" | "<=" | ">" | ">=") value
               | ["not"] "in" "(" value { "," value } ")"
               | ["not"] "like" string
               | "is" ["not"] "null"
    value      = number | string | "true" | "false"

Strings are in single or double quotes, a doubled quote inside stands for one; a name with spaces
or signs is in backquotes. Keywords such as ``and`` can be in upper case. The meaning is defined in
:mod:`commonspace.retrieval.filter`.
"""

import re
from dataclasses import dataclass
from typing import Literal, NoReturn

from commonspace.errors import SettingError

__all__ = ["Check", "Joined", "Not", "Tree", "Value", "parse", "shorten"]

Value = str | float | int
Sign = Literal["=", "<", "<=", ">", ">=", "in", "like", "present"]

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
_COMPARED: dict[str, Sign] = {"=": "=", "==": "=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


@dataclass(frozen=True)
class Check:
    """A test of the values of a field."""

    name: str
    """Name of the field."""
    sign: Sign
    values: tuple[Value, ...]
    """One for a comparison or a pattern, several for "in", none for "present"."""


@dataclass(frozen=True)
class Not:
    """Negation."""

    inner: "Tree"


@dataclass(frozen=True)
class Joined:
    """Several conditions joined by "and" or "or"."""

    word: Literal["and", "or"]
    parts: "tuple[Tree, ...]"


Tree = Check | Not | Joined


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


def parse(text: str) -> Tree:
    """Return the syntax tree of a condition.

    Args:
        text: the condition.

    Raises:
        SettingError: If it is invalid.

    Example:
        >>> parse("not price < 50")
        Not(inner=Check(name='price', sign='<', values=(50,)))
    """
    if len(text) > _LONGEST:
        raise SettingError(
            "a condition is too long",
            expected=f"at most {_LONGEST:,} characters",
            found=f"{len(text):,}",
            advice="split it, or filter the results in your program",
        )
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise SettingError(
            "a condition is not text",
            expected="text that can be encoded as UTF-8",
            found=ascii(text)[:80],
            advice="write it in UTF-8",
        ) from exc
    return _Parser(text).tree()


def shorten(text: str) -> str:
    """Return at most 80 characters of a text, for a message."""
    return text if len(text) <= 80 else f"{text[:79]}…"


class _Parser:
    """Recursive descent parser, one method a rule."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = self._tokens()
        self.place = 0
        self.depth = self.tests = self.values = 0

    def tree(self) -> Tree:
        tree = self._condition()
        if self.tokens[self.place].kind != "end":
            self._wrong("the end, and, or")
        return tree

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

    def _condition(self) -> Tree:
        parts = [self._all()]
        while self._took("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Joined("or", tuple(parts))

    def _all(self) -> Tree:
        parts = [self._one()]
        while self._took("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else Joined("and", tuple(parts))

    def _one(self) -> Tree:
        self.depth += 1
        if self.depth > _DEEPEST:
            self._wrong(f"at most {_DEEPEST} conditions inside each other")
        tree: Tree
        if self._took("not"):
            tree = Not(self._one())
        elif self._took("("):
            tree = self._condition()
            if not self._took(")"):
                self._wrong(") or and or or")
        else:
            tree = self._tested(self._name())
        self.depth -= 1
        return tree

    def _name(self) -> str:
        token = self.tokens[self.place]
        if token.kind not in ("word", "quoted"):
            quoted = f"a name with spaces is in backquotes: `{token.text[1:-1][:40]}` = 5"
            self._wrong("the name of a field, not, or (", quoted if token.kind == "string" else "")
        self.place += 1
        return token.text[1:-1].replace("``", "`") if token.kind == "quoted" else token.text

    def _tested(self, name: str) -> Tree:
        if self._took("is"):
            absent = not self._took("not")
            if not self._took("null"):
                self._wrong("null")
            present = self._counted(Check(name, "present", ()))
            return Not(present) if absent else present
        negated = self._took("not")
        if self._took("in"):
            check = self._counted(Check(name, "in", self._list()))
        elif self._took("like"):
            check = self._counted(Check(name, "like", (self._pattern(),)))
        elif negated:
            self._wrong("in or like")
        else:
            return self._compared(name)
        return Not(check) if negated else check

    def _compared(self, name: str) -> Tree:
        sign = self.tokens[self.place].text
        if sign not in _COMPARED and sign not in ("!=", "<>"):
            self._wrong("=, !=, <, <=, >, >=, in, like or is")
        self.place += 1
        check = self._counted(Check(name, _COMPARED.get(sign, "="), (self._value(),)))
        return check if sign in _COMPARED else Not(check)

    def _list(self) -> tuple[Value, ...]:
        if not self._took("("):
            self._wrong("( and a list of values")
        values = [self._value()]
        while self._took(","):
            values.append(self._value())
        if not self._took(")"):
            self._wrong("a comma or )")
        return tuple(values)

    def _counted(self, check: Check) -> Check:
        self.tests += 1
        self.values += len(check.values)
        if self.tests > _MOST or self.values > _MOST_VALUES:
            self._wrong(f"at most {_MOST} tests and {_MOST_VALUES:,} values, in(...) for lists")
        return check

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

    def _pattern(self) -> str:
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

    def _wrong(self, expected: str, advice: str = "") -> NoReturn:
        token = self.tokens[self.place]
        raise SettingError(
            "a condition is invalid",
            expected=expected,
            found=f"{shorten(token.text)} at character {token.at + 1} of: {shorten(self.text)}"
            if self.text.strip()
            else "nothing",
            advice=advice or 'write it like: label = "Watches" and price < 50',
        )

    def _broken(self, at: int) -> NoReturn:
        quote = self.text[at] in "'\"`"
        raise SettingError(
            "a condition is invalid",
            expected="names, numbers, strings in quotes, signs and parentheses",
            found=f"{self.text[at : at + 10]} at character {at + 1} of: {shorten(self.text)}",
            advice="close the quote that starts there; write a quote inside of a string twice"
            if quote
            else 'write it like: label = "Watches" and price < 50',
        )


def _number(text: str) -> float | int:
    """Return an integer if SQLite can store it, else a float, which may be infinite."""
    try:
        whole = int(text)
    except ValueError:
        return float(text)
    return whole if -(2**63) <= whole < 2**63 else float(text)
