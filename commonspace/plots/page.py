"""All pictures and tables of a report as one page of HTML that needs nothing else.

There is no script and no address of another place in it; names are escaped. It follows the light or
dark wish of whoever reads it, and prints. It knows nothing of what the figures mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files

from commonspace.extras import optional

__all__ = ["Fact", "Page", "Picture", "Table", "render"]


@dataclass(frozen=True)
class Picture:
    """One picture of the page.

    Args:
        name: letters, digits and hyphens: its address in the page, and the name of its files.
        title: what it is, in a few words.
        caption: what is seen, and how it was made.
        svg: an <svg> element, as ``svg_of`` returns it.
    """

    name: str
    title: str
    caption: str
    svg: str


@dataclass(frozen=True)
class Table:
    """A table: the first column to the left, the others to the right."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True)
class Fact:
    """Something that is known: its name, and a sentence."""

    name: str
    text: str


@dataclass(frozen=True)
class Page:
    """What stands on the page, from top to bottom."""

    title: str
    subtitle: str
    tables: Sequence[Table] = ()
    facts: Sequence[Fact] = ()
    notes: Sequence[str] = ()
    pictures: Sequence[Picture] = field(default=())


def render(page: Page) -> str:
    """Return the page as HTML.

    Args:
        page: what is to stand on it; every text is escaped, only the <svg> elements are not.

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
