"""Pictures become files that others can read, the same each time; a page needs nothing else."""

import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commonspace.errors import OutputError, SettingError
from commonspace.plots import (
    Fact,
    Page,
    PageFigure,
    Table,
    check_formats,
    draw_class_map,
    draw_confusion,
    draw_learning_curves,
    figure_to_svg,
    render,
    save,
)

HOSTILE = '<script>alert("x")</script> & $a$ \\frac{1}{2} %s {0}'


def test_three_files_that_can_be_read(tmp_path: Path) -> None:
    assert save(draw_learning_curves([0.2, 0.4], {}, 2), tmp_path / "course") == ""
    with Image.open(tmp_path / "course.png") as picture:
        assert picture.width == 1440  # 7.2 inches of 200 dots
        picture.load()
    root = ElementTree.parse(tmp_path / "course.svg").getroot()
    assert root.tag.endswith("svg")
    assert (tmp_path / "course.pdf").read_bytes().startswith(b"%PDF-")
    assert (tmp_path / "course.pdf").read_bytes().rstrip().endswith(b"%%EOF")


def test_the_same_picture_gives_the_same_bytes(tmp_path: Path) -> None:
    for place in ("a", "b"):
        save(draw_learning_curves([0.2, 0.4], {}, 2), tmp_path / place)
    for suffix in ("png", "svg", "pdf"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_what_is_there_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "course.png").write_text("kept")
    with pytest.raises(OutputError):
        save(draw_learning_curves([0.2], {}, 1), tmp_path / "course", ["png"])
    assert (tmp_path / "course.png").read_text() == "kept"


@pytest.mark.parametrize("formats", [["jpeg"], [], ["png", ""]])
def test_unknown_formats_are_refused(formats: list[str]) -> None:
    with pytest.raises(SettingError, match="unknown figure format"):
        check_formats(formats)


def test_names_are_drawn_as_they_are(tmp_path: Path) -> None:
    """Neither TeX nor HTML in a name does anything; 28 columns of it are seen."""
    figure = draw_class_map({"a->b": {HOSTILE: 0.5}}, {"a->b": {HOSTILE: 3}}, {"a->b": 0.5})
    assert save(figure, tmp_path / "classes") == ""
    root = ElementTree.parse(tmp_path / "classes.svg").getroot()
    said = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert HOSTILE[:27] + "…" in said
    assert "<script" not in figure_to_svg(figure, "x")


def test_a_character_that_no_font_has_is_reported_and_not_raised(tmp_path: Path) -> None:
    name = "\U0001f9ea猫\ue000"  # an emoji, a Chinese cat, and what no font may have
    figure = draw_class_map({"a->b": {name: 0.5}}, {"a->b": {name: 3}}, {"a->b": 0.5})
    missing = save(figure, tmp_path / "classes", ["png", "svg"])
    assert set(missing) <= set(name)
    assert len(set(missing)) == len(missing)
    assert "猫" in (tmp_path / "classes.svg").read_text("utf-8")  # as a letter, for any viewer
    alone = draw_confusion(np.eye(1), ["\U0010fffd"], "a->b")
    assert "\ufffd" not in save(alone, tmp_path / "alone", ["png"])


def test_an_svg_for_a_page_points_nowhere_else_and_takes_the_colours_of_the_page() -> None:
    figure = draw_learning_curves([0.2, 0.4], {}, 2)
    first, second = figure_to_svg(figure, "one"), figure_to_svg(figure, "two")
    assert first.startswith("<svg ")
    assert "http" not in first
    assert "var(--ink)" in first
    assert "var(--paper)" in first
    ids = [set(re.findall(r'\sid="([^"]*)"', text)) for text in (first, second)]
    assert ids[0]
    assert not ids[0] & ids[1]
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]*)', first))
    assert used
    assert used <= ids[0]


class Elements(HTMLParser):
    """Collects what a page holds, and checks that it is closed."""

    VOID = frozenset({"meta", "br", "img", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_a_page_escapes_all_it_is_given_and_needs_nothing_else() -> None:
    svg = figure_to_svg(draw_learning_curves([0.2, 0.4], {"loss": [2.0, 1.0]}, 2), "course")
    page = Page(
        title=HOSTILE,
        subtitle=HOSTILE,
        tables=[Table(HOSTILE, [HOSTILE], [[HOSTILE]], HOSTILE)],
        facts=[Fact(HOSTILE, HOSTILE)],
        notes=[HOSTILE],
        figures=[PageFigure("course", HOSTILE, HOSTILE, svg)],
    )
    text = render(page)
    parsed = Elements()
    parsed.feed(text)
    assert parsed.open == []
    assert "script" not in parsed.tags
    assert sum(HOSTILE in said for said in parsed.text) >= 10
    assert not {name for name, _ in parsed.attributes} & {"src", "onclick", "onload", "srcset"}
    links = [value for name, value in parsed.attributes if name in ("href", "xlink:href")]
    assert links
    assert all(link.startswith(("#", "data:")) for link in links)
    assert "//" not in re.sub(r"data:[^\"]*", "", text)
    assert "@import" not in text
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
