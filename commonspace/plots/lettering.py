"""Names and sentences of any language, cut and broken so that they fit into a picture.

Lengths are counted in columns: a Latin letter takes one, a Chinese character two. It knows no
fonts.
"""

import unicodedata

__all__ = ["columns_of", "shown", "wrapped"]


def columns_of(text: str) -> int:
    """Return how many columns a line takes.

    Args:
        text: one line.

    Example:
        >>> columns_of("cat"), columns_of("猫")
        (3, 2)
    """
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1
        for one in text
    )


def shown(name: str, most: int = 28) -> str:
    r"""Return a name as one line without unprintable characters, cut where it is too long.

    Args:
        name: of a class, a modality or a sample; any string.
        most: columns, at least 1.

    Example:
        >>> shown("Home  Decor & Festive\nNeeds", most=16)
        'Home Decor & Fe…'
    """
    line = _one_line(name)
    if columns_of(line) <= most:
        return line
    return _head(line, most - 1).rstrip() + "…"


def wrapped(text: str, columns: int, lines: int) -> str:
    """Return a text broken into lines between words, or within those that are too long.

    Args:
        text: any string.
        columns: of a line, at least 2, which is what a wide character takes.
        lines: at most so many, at least 1; "…" stands for the rest.

    Example:
        >>> print(wrapped("a red kite above a small house", 12, 2))
        a red kite
        above a sma…
    """
    done: list[str] = []
    rest = _one_line(text)
    while rest and len(done) < lines:
        if columns_of(rest) <= columns:
            head, rest = rest, ""
        elif len(done) == lines - 1:
            head, rest = shown(rest, columns), ""
        else:
            head = _head(rest, columns)
            broken = head.rfind(" ") if rest[len(head)] != " " else len(head)
            head = head[:broken] if broken > 0 else head
            rest = rest[len(head) :].lstrip()
        done.append(head)
    return "\n".join(done)


def _one_line(text: str) -> str:
    spaced = (" " if one.isspace() else one for one in text)
    return " ".join("".join(o if o.isprintable() else "\ufffd" for o in spaced).split())


def _head(line: str, columns: int) -> str:
    """Return as much of the beginning as fits."""
    kept = 0
    while kept < len(line) and columns_of(line[: kept + 1]) <= columns:
        kept += 1
    return line[:kept]
