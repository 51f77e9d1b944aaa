"""Search results for people: lines for the terminal, and one local page with the pictures."""

import base64
import io
import shutil
import tempfile
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from commonspace.retrieval import SearchResult, SearchResults

__all__ = ["MATCH", "format_results", "write_page"]

MATCH = 0.5
"""Relevance of the best result below which nothing matches well."""

WIDTH = 80
THUMBNAIL = 320
"""Largest side of a picture on the page, in pixels."""

STYLE = """body{font:16px/1.4 system-ui,sans-serif;margin:2rem;color:#222;background:#fff}
ol{display:grid;grid-template-columns:repeat(auto-fill,minmax(13rem,1fr));gap:1rem;padding:0}
li{list-style:none;border:1px solid #ddd;border-radius:8px;padding:.75rem;overflow-wrap:anywhere}
img{width:100%;height:11rem;object-fit:contain}small{color:#666}
@media(prefers-color-scheme:dark){body{color:#eee;background:#1b1b1f}li{border-color:#444}
small{color:#aaa}}"""


def format_results(
    title: str, results: "SearchResults", roles: Mapping[str, str], width: int | None = None
) -> str:
    """Return results as lines: figures and the whole id, then title, classes, price and photo.

    Args:
        title: what was searched for.
        results: best first.
        roles: role -> field, see ``Index.roles``.
        width: columns; None: those of the terminal, at most 80. Ids and photos are never cut.
    """
    width = min(WIDTH, width or shutil.get_terminal_size((WIDTH, 24)).columns)
    shown = _cut(_printable(title), width - 20)
    if not results:
        reason = (
            "; no item passes the filter (case matters, and numbers are written without quotes)"
            if not results.total
            else ""
        )
        return f"{shown}: no results{reason}"
    best = results[0].relevance
    lines = [f"{shown}: {len(results)} of {results.total:,} items"]
    if results.nothing_matches:
        lines.append("probably nothing matches: the query is unlike all items that the model was")
        lines.append("trained on; these are the closest items. Try other words, or a photo")
    elif best is not None and best < MATCH:
        lines.append("nothing matches well; these are the closest items")
    several = len({result.modality for result in results}) > 1
    calibrated = best is not None
    lines += ["", f" score{'  relevance' * calibrated}  item"]
    indent = " " * (8 + 11 * calibrated)
    for result in results:
        relevance = "" if result.relevance is None else f"{result.relevance:9.2f}  "
        matched = f"  ({result.modality})" if several else ""
        lines.append(f"{result.score:6.3f}  {relevance}{_printable(result.id)}{matched}")
        for line in _description(result, roles, width - len(indent)):
            lines.append(indent + line)
    return "\n".join(lines)


def write_page(
    searches: Sequence[tuple[str, "SearchResults"]],
    roles: Mapping[str, str],
    picture: Callable[[str], "NDArray[np.uint8] | Path | None"],
) -> Path:
    """Write a page with the results and their pictures, which it contains; return its path.

    Args:
        searches: what was searched for, with its results.
        roles: role -> field.
        picture: id -> picture of an item, as ``Index.picture`` returns it.
    """
    parts = []
    for title, results in searches:
        cards = []
        for result in results:
            heading, *more = _facts(result, roles)
            link = str(result.fields.get(roles.get("link", ""), ""))
            if link.startswith(("http://", "https://")):
                heading_html = f'<a href="{escape(link)}">{escape(heading)}</a>'
            else:
                heading_html = escape(heading)
            figures = f"score {result.score:.3f}"
            if result.relevance is not None:
                figures += f", relevance {result.relevance:.2f}"
            cards.append(
                f"<li>{_image(picture(result.id), heading)}<p>{heading_html}</p>"
                f"<p>{escape(' · '.join(more))}</p>"
                f"<small>{escape(result.id)}<br>{figures}</small></li>"
            )
        none = "" if cards else "<p>no results</p>"
        none += "<p>probably nothing matches</p>" if results.nothing_matches else ""
        parts.append(f"<h1>{escape(title)}</h1>{none}<ol>{''.join(cards)}</ol>")
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Search results</title>'
        '<meta name="color-scheme" content="light dark">'
        f"<style>{STYLE}</style>{''.join(parts)}</html>"
    )
    path = Path(tempfile.mkdtemp(prefix="commonspace-")) / "results.html"
    path.write_text(page, "utf-8")
    return path


def _facts(result: "SearchResult", roles: Mapping[str, str]) -> list[str]:
    """Return the title of a result, its classes and its price."""
    title = result.fields.get(roles.get("title", "")) or (result.texts or ("",))[0]
    price = result.fields.get(roles.get("price", ""))
    facts = [str(title), ", ".join(result.labels), "" if price is None else f"{price}"]
    if not facts[0]:
        known = [f"{name}: {value}" for name, value in result.fields.items()]
        facts[0] = ", ".join(known)
    return [_printable(fact) for fact in facts]


def _description(result: "SearchResult", roles: Mapping[str, str], width: int) -> list[str]:
    title, *more = _facts(result, roles)
    rest = [fact for fact in more if fact]
    end = "".join(f" · {fact}" for fact in rest)
    line = _cut(title, max(10, width - _width(end))) + end if title else " · ".join(rest)
    lines = [_cut(line, width)] if line else []
    if result.photo and result.photo != result.id:
        lines.append(_printable(result.photo))
    return lines


def _image(picture: "NDArray[np.uint8] | Path | None", title: str) -> str:
    from PIL import Image, UnidentifiedImageError

    if picture is None:
        return ""
    try:
        image = Image.open(picture) if isinstance(picture, Path) else Image.fromarray(picture)
        with image:
            image.thumbnail((THUMBNAIL, THUMBNAIL))
            buffer = io.BytesIO()
            image.convert("RGB").save(buffer, "JPEG", quality=85)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
        return ""
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img src="data:image/jpeg;base64,{data}" alt="{escape(title)}">'


def _printable(text: str) -> str:
    """Return a text on one line, without characters that control a terminal."""
    return "".join(sign if sign.isprintable() else "�" for sign in " ".join(text.split()))


def _width(text: str) -> int:
    """Return the number of columns of a text; Chinese characters have two."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def _cut(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    while text and _width(text) > width - 1:
        text = text[:-1]
    return f"{text.rstrip()}…"
