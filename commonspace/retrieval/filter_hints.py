"""Hints for a filter that no item passes: values that are nearly those of the items."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from commonspace.retrieval.filter_syntax import Check, Not, Tree, Value, parse, shorten

__all__ = ["filter_hints"]


def filter_hints(where: str, values: Mapping[str, Mapping[Any, int]]) -> list[str]:
    """Return a sentence for each compared value that is probably meant otherwise.

    Args:
        where: a valid filter.
        values: field -> the values that items have of it, counted; "label" has the classes.

    Example:
        >>> known = {"label": {"kite": 3, "dog": 2}, "price": {5: 1, 7.5: 1}}
        >>> for hint in filter_hints("label = 'Kite' and price < '5'", known):
        ...     print(hint)
        no item has label = 'Kite': did you mean 'kite'?
        price is a number: write 5 without quotes
    """
    return list(dict.fromkeys(_hints(parse(where), values)))


def _hints(tree: Tree, values: Mapping[str, Mapping[Any, int]]) -> Iterator[str]:
    if isinstance(tree, Not):
        return
    if not isinstance(tree, Check):
        for part in tree.parts:
            yield from _hints(part, values)
        return
    known = values.get(tree.name, {})
    texts = [value for value in known if isinstance(value, str)]
    for value in tree.values if known and tree.sign != "like" else ():
        hint = _hint(tree, value, known, texts)
        if hint:
            yield hint


def _hint(check: Check, value: Value, known: Mapping[Any, int], texts: list[str]) -> str:
    if isinstance(value, str) and not texts:
        truth = all(isinstance(one, bool) for one in known)
        plain = value.casefold() in ("true", "false") if truth else _is_number(value)
        kind = "true or false" if truth else "a number"
        return f"{check.name} is {kind}" + (f": write {value} without quotes" if plain else "")
    if not isinstance(value, str) and len(texts) == len(known):
        return f"{check.name} is text: write '{value}' in quotes"
    if check.sign not in ("=", "in") or value in known or not isinstance(value, str):
        return ""
    folded = {" ".join(text.split()).casefold(): text for text in texts}
    near = get_close_matches(" ".join(value.split()).casefold(), folded, n=1)
    start = f"no item has {check.name} = {shorten(value)!r}"
    return f"{start}: did you mean {folded[near[0]]!r}?" if near else start


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
