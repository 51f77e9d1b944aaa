"""Report page: tables, notes and figures as one self-contained HTML file.

It has no script and no external link; text is escaped. It supports light and dark color schemes and
printing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from commonspace.extras import optional

__all__ = ["Fact", "Page", "PageFigure", "Table", "render"]


@dataclass(frozen=True)
class PageFigure:
    """One figure of the page.

    Args:
        name: letters, digits and hyphens: its anchor in the page, and the name of its files.
        title: a few words.
        caption: what it shows, and how it was made.
        svg: an <svg> element, as ``figure_to_svg`` returns it.
    """

    name: str
    title: str
    caption: str
    svg: str


@dataclass(frozen=True)
class Table:
    """A table; the first column is left-aligned, the others right-aligned."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True)
class Fact:
    """One line of the provenance: its name, and a sentence."""

    name: str
    text: str


@dataclass(frozen=True)
class Page:
    """The content of the page, from top to bottom."""

    title: str
    subtitle: str
    tables: Sequence[Table] = ()
    facts: Sequence[Fact] = ()
    notes: Sequence[str] = ()
    figures: Sequence[PageFigure] = ()


def render(page: Page) -> str:
    """Return the page as HTML.

    Args:
        page: its content; every text is escaped, the <svg> elements are not.

    Raises:
        MissingExtraError: jinja2 is not installed.

    Example:
        >>> "cats &amp; dogs" in render(Page("cats & dogs", "two classes"))
        True
    """
    jinja2 = optional("jinja2", "a report", "plots")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = environment.from_string(
        files("commonspace.plots").joinpath("report.html.jinja").read_text("utf-8")
    )
    text: str = template.render(page=page)
    return text
