"""Results in the terminal and as a page: 80 columns, whole ids, nothing that runs."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from commonspace.cli.results import format_results, write_page
from commonspace.retrieval.items import SearchResult, SearchResults

ROLES = {"title": "product_name", "price": "price", "link": "url"}


def result(id: str = "a" * 32, **values: object) -> SearchResult:
    """Return a result of some values."""
    facts = {"labels": ("Watches",), "modality": "image", "score": 0.8, "relevance": 0.97}
    fields = {"product_name": "A blue watch " * 9, "price": 12.5, "url": "https://shop.example/1"}
    return SearchResult(id=id, **{"fields": fields, "photo": "images/1.jpg", **facts, **values})  # type: ignore[arg-type]


@pytest.mark.parametrize("width", [60, 80])
def test_lines_fit_and_ids_stay_whole(width: int) -> None:
    found = SearchResults([result(), result("b" * 32, modality="text")], total=1047)
    lines = format_results("a blue watch for men " * 5, found, ROLES, width).splitlines()
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "a" * 32 in text
    assert "b" * 32 in text
    assert "images/1.jpg" in text
    assert "2 of 1,047 items" in text
    assert " · Watches · 12.5" in text


def test_chinese_titles_count_two_columns_a_character() -> None:
    found = SearchResults([result(fields={"product_name": "手表" * 60})], total=1)
    line = next(one for one in format_results("表", found, ROLES, 80).splitlines() if "手" in one)
    assert sum(2 if ord(sign) > 0x2E80 else 1 for sign in line) <= 80


def test_it_is_said_when_nothing_matches_well() -> None:
    weak, good = (
        format_results("a dog", SearchResults([result(relevance=value)], 1), ROLES, 80)
        for value in (0.49, 0.5)
    )
    assert "nothing matches well" in weak
    assert "nothing matches well" not in good
    unlike = SearchResults([result()], 1)
    unlike.nothing_matches = True
    assert "probably nothing matches" in format_results("a dog", unlike, ROLES, 80)
    assert "no results; no item passes the filter" in format_results("x", SearchResults(), ROLES)


def test_terminal_codes_in_data_are_not_printed() -> None:
    bad = result("a\x1b[2Jb", fields={"product_name": "x\x1b]0;title\x07"})
    assert "\x1b" not in format_results("q\x1b[1m", SearchResults([bad], 1), ROLES)


def test_the_page_contains_its_pictures_and_escapes_the_data(tmp_path: Path) -> None:
    Image.new("RGB", (900, 600), (200, 0, 0)).save(tmp_path / "red.jpg")
    pictures: dict[str, Any] = {
        "1": tmp_path / "red.jpg",
        "2": np.zeros((9, 9, 3), np.uint8),
        "3": None,
    }
    evil = {"product_name": "<script>alert(1)</script>", "url": "javascript:alert(1)"}
    found = SearchResults([result("1"), result("2", fields=evil), result("3")], 3)
    page = write_page([("<b>", found)], ROLES, pictures.__getitem__).read_text("utf-8")
    assert page.count("<li>") == 3
    assert len(re.findall(r'<img src="data:image/jpeg;base64,', page)) == 2
    assert "<script" not in page
    assert "<h1>&lt;b&gt;</h1>" in page
    assert "javascript:" not in page
    assert page.count('<a href="https://shop.example/1">') == 2
