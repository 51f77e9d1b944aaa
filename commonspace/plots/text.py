"""Text of any language, shortened or wrapped to fit into a figure.

Widths are counted in columns: a Latin letter takes one, a Chinese character two.
"""

import unicodedata

__all__ = ["display_width", "shorten", "wrap"]


def display_width(text: str) -> int:
    """Return the number of columns of a line.

    Args:
        text: one line.

    Example:
        >>> display_width("cat"), display_width("猫")
        (3, 2)
    """
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1
        for one in text
    )


def shorten(name: str, max_width: int = 28) -> str:
    r"""Return a name as one line without unprintable characters, shortened if it is too long.

    Args:
        name: of a class, a modality or a sample; any string.
        max_width: columns, at least 1.

    Example:
        >>> shorten("Home  Decor & Festive\nNeeds", max_width=16)
        'Home Decor & Fe…'
    """
    line = _one_line(name)
    if display_width(line) <= max_width:
        return line
    return _head(line, max_width - 1).rstrip() + "…"


def wrap(text: str, columns: int, lines: int) -> str:
    """Return a text wrapped between words, or within words that are too long.

    Args:
        text: any string.
        columns: of a line, at least 2, the width of a wide character.
        lines: maximum number, at least 1; "…" replaces the rest.

    Example:
        >>> print(wrap("a red kite above a small house", 12, 2))
        a red kite
        above a sma…
    """
    done: list[str] = []
    rest = _one_line(text)
    while rest and len(done) < lines:
        if display_width(rest) <= columns:
            head, rest = rest, ""
        elif len(done) == lines - 1:
            head, rest = shorten(rest, columns), ""
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
    """Return the longest prefix that fits."""
    kept = 0
    while kept < len(line) and display_width(line[: kept + 1]) <= columns:
        kept += 1
    return line[:kept]
