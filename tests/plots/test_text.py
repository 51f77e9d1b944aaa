"""Names and texts fit: never wider or longer than they may be, and nothing unprintable in them."""

from hypothesis import given, settings
from hypothesis import strategies as st

from commonspace.plots.text import display_width, shorten, wrap

anything = st.text(st.characters(codec=None), max_size=80)


@settings(deadline=None, max_examples=150)
@given(anything, st.integers(2, 30), st.integers(1, 5))
def test_a_text_fits_its_card(text: str, columns: int, lines: int) -> None:
    rows = wrap(text, columns, lines).split("\n")
    assert len(rows) <= lines
    assert all(display_width(row) <= columns for row in rows)
    assert all(one.isprintable() for row in rows for one in row)


@settings(deadline=None, max_examples=150)
@given(anything, st.integers(2, 30))
def test_a_name_fits_and_is_whole_where_it_can_be(text: str, most: int) -> None:
    line = shorten(text, most)
    assert display_width(line) <= most
    assert line.isprintable()
    whole = shorten(text, 1000)
    assert line == whole or line.endswith("…")


@settings(deadline=None, max_examples=80)
@given(st.lists(st.text("abcdefg", min_size=1, max_size=6), min_size=1, max_size=12))
def test_nothing_is_lost_where_there_is_room(words: list[str]) -> None:
    assert wrap(" ".join(words), 8, 100).replace("\n", " ").split() == words


def test_chinese_is_broken_between_any_two_characters() -> None:
    assert wrap("海边的一只狗和一只猫", 8, 3) == "海边的一\n只狗和一\n只猫"
    assert shorten("海边的一只狗", 7) == "海边的…"
