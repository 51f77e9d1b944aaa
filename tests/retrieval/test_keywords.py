"""Items that hold all words of a query come first, whatever was added, changed and removed."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commonspace import CommonSpace, Dataset, Features
from commonspace.data import Texts
from commonspace.errors import SettingError, StoreError
from commonspace.retrieval import Index, Query
from commonspace.retrieval.changes import insert_items
from commonspace.retrieval.keywords import match_keywords
from commonspace.retrieval.schema import table_checksum
from commonspace.retrieval.sources import NewItem, PhotoFolders, to_sources
from commonspace.retrieval.store import Store

NAMES = (
    "Palito PLO 166 watch for girls",
    "Palito PLO 167 watch for girls",
    "Café au lait, Größe 42",
    "红色风筝 kite",
    "青い凧 kite",
    'quoted "AND" NOT (sign)*',
)


def catalog(names: tuple[str, ...], start: int = 0) -> Dataset:
    """Return items with a name and a list of tags as fields; their vectors are random."""
    count = len(names)
    values = np.random.default_rng(start).normal(size=(count, 6)).astype(np.float32)
    return Dataset(
        name="shop",
        ids=tuple(f"item {start + row}" for row in range(count)),
        columns={"image": Features(values), "text": Features(values[:, ::-1].copy())},
        labels=np.ones((count, 1), dtype=bool),
        class_names=("things",),
        splits=np.full(count, "train"),
        fields={
            "name": list(names),
            "tags": [[f"tag{start + row}", "common"] for row in range(count)],
            "number": [float(start + row) for row in range(count)],
        },
    )


@pytest.fixture
def index(tmp_path: Path, space: CommonSpace) -> Iterator[Index]:
    with Index.create(tmp_path / "shop", space, catalog(NAMES)) as opened:
        yield opened


def matches(index: Index, text: str) -> set[str]:
    """Return the ids of the items that hold all words of a text."""
    store = index._store
    with store.reading():
        items = store.items(match_keywords(store, text).items)
    return {item.id for item in items.values()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PLO 166", {0}),
        ("plo-166", {0}),
        ("palito plo", {0, 1}),
        ("watch 167 palito", {1}),
        ("plo 168", set()),
        ("cafe", {2}),
        ("CAFÉ groesse", set()),
        ("grosse 42", {2}),
        ("größe 42", {2}),
        ("GRÖSSE", {2}),
        ("红色", {3}),
        ("风筝", {3}),
        ("风", {3}),
        ("筝", {3}),
        ("色筝", set()),
        ("凧", {4}),
        ("青い 凧", {4}),
        ("kite", {3, 4}),
        ("kite tag4", {4}),
        ("common", {0, 1, 2, 3, 4, 5}),
        ('"AND" sign', {5}),
        ("NOT", {5}),
        ("NEAR(plo 166)", set()),
        ("name: plo", set()),
        ('"', set()),
        ("*", set()),
        ("() ^ - + : . ; ' \" * \\ \0", set()),
        ("3", set()),
    ],
)
def test_words_match_items_that_hold_all_of_them(
    index: Index, text: str, expected: set[int]
) -> None:
    assert matches(index, text) == {f"item {number}" for number in expected}


@given(st.text(max_size=60))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_is_an_error(index: Index, text: str) -> None:
    matches(index, text)


def test_words_of_more_than_ten_items_are_no_name(tmp_path: Path, space: CommonSpace) -> None:
    with Index.create(tmp_path / "shop", space, catalog(("lamp",) * 10)) as index:
        assert len(matches(index, "lamp")) == 10
        index.add(catalog(("lamp shade",), start=10))
        assert matches(index, "lamp") == set()
        assert matches(index, "lamp shade") == {"item 10"}


def test_frequent_words_name_an_item_only_one_after_the_other(
    tmp_path: Path, space: CommonSpace
) -> None:
    names = ("blue watch for women", "watch for men blue", "lamp 42 of blue glass")
    others = ("watch 7 for sale", "blue lamp of the sea", "for men only") * 12
    with Index.create(tmp_path / "shop", space, catalog(names + others)) as index:
        assert matches(index, "watch for men") == {"item 1"}
        assert matches(index, "blue watch") == {"item 0"}
        assert matches(index, "men blue watch") == set()  # all words, but all of them frequent
        assert matches(index, "women watch blue") == {"item 0"}  # a rare word
        assert matches(index, "blue lamp 42") == {"item 2"}  # a number
        with index._store.reading():
            known = [
                match_keywords(index._store, text).are_known
                for text in ("watch", "men blue watch", "sea boat", "for men")
            ]
        assert known == [True, True, False, True]


def test_words_to_avoid_are_parts_with_commas_between_them(index: Index) -> None:
    vector = index.vectors("item 2")["image"]
    found = {
        without: {one.id for one in index.search(vector=vector, k=9, without=without)}
        for without in ("palito 167", "palito 167, kite", "红色， 42; sign", ", palito,")
    }
    every = {f"item {number}" for number in range(6)}
    assert found == {
        "palito 167": every - {"item 1"},
        "palito 167, kite": every - {"item 1", "item 3", "item 4"},
        "红色， 42; sign": every - {"item 3", "item 2", "item 5"},
        ", palito,": every - {"item 0", "item 1"},
    }


def test_matches_are_in_the_order_of_bm25(tmp_path: Path, space: CommonSpace) -> None:
    """A word counts more in a short text, and more often in texts of equal length."""
    names = ("kite one two three four five", "kite", "kite kite one", "kite one two")
    with Index.create(tmp_path / "shop", space, catalog(names)) as index, index._store.reading():
        found = match_keywords(index._store, "kite").items
        order = [index._store.items([one])[one].id for one in found]
    assert order.index("item 1") < order.index("item 3") < order.index("item 0")
    assert order.index("item 2") < order.index("item 3")


@pytest.fixture
def reading(index: Index, monkeypatch: pytest.MonkeyPatch) -> Index:
    """Return an index whose space turns every text into the vector of item 2."""
    embedder = index._space.embedder()[1]
    vector = index.vectors("item 2")["image"]
    monkeypatch.setattr(
        embedder, "texts", lambda texts: (np.stack([vector] * len(texts)).astype(np.float32), None)
    )
    return index


def test_items_with_all_words_come_before_the_ranking_by_vectors(reading: Index) -> None:
    vector = reading.vectors("item 2")["image"]
    plain = reading.search(vector=vector, k=6)
    assert plain[0].id == "item 2"
    found = reading.search("plo 166", k=6)
    rest = [one for one in plain if one.id != "item 0"]
    assert [one.id for one in found] == ["item 0", *(one.id for one in rest)]
    assert [one.has_keywords for one in found] == [True] + [False] * 5
    scores = {one.id: (one.score, one.modality) for one in plain}
    for one in found:
        assert one.score == pytest.approx(scores[one.id][0], abs=1e-6)
        assert one.modality == scores[one.id][1]
    assert found.total == 6


def test_keywords_can_be_left_out_and_are_for_text_alone(reading: Index) -> None:
    vector = reading.vectors("item 2")["image"]
    plain = [one.id for one in reading.search(vector=vector, k=6)]
    assert [one.id for one in reading.search("plo 166", k=6, keywords=False)] == plain
    assert [one.id for one in reading.search("plo 166", vector=vector, k=6)] == plain
    with pytest.raises(SettingError, match="keywords"):
        Query("plo 166", keywords=2)  # type: ignore[arg-type]


def test_pages_filters_and_modalities_hold_for_keywords(reading: Index) -> None:
    whole = [one.id for one in reading.search("palito plo", k=6)]
    assert set(whole[:2]) == {"item 0", "item 1"}
    pages = [reading.search("palito plo", k=2, offset=at) for at in (0, 2, 4)]
    assert [one.id for page in pages for one in page] == whole
    found = reading.search("palito plo", k=6, where="number > 0")
    assert [one.id for one in found if one.has_keywords] == ["item 1"]
    assert "item 0" not in [one.id for one in found]
    assert found.total == 5
    texts = reading.search("palito plo", k=6, modality="text")
    assert {one.modality for one in texts} == {"text"}
    assert [one.has_keywords for one in texts] == [True, True] + [False] * 4


def test_many_queries_each_have_their_own_matches(reading: Index) -> None:
    texts = ["plo 166", "kite", "nothing", "plo 167"]
    together = reading.search_many([Query(text, k=6) for text in texts])
    alone = [reading.search(text, k=6) for text in texts]
    assert [[one.id for one in found] for found in together] == [
        [one.id for one in found] for found in alone
    ]
    assert together[0][0].id == "item 0"
    assert together[3][0].id == "item 1"


def test_changes_are_found_at_once_by_every_reader(index: Index, space: CommonSpace) -> None:
    with Index.open(index.path, space=space) as reader:
        index.add(catalog(("Zeta ZX9",), start=6))
        assert matches(reader, "zx9") == {"item 6"}
        index.update(catalog(("Zeta ZX8",), start=6))  # only a field changes
        assert matches(reader, "zx9") == set()
        assert matches(reader, "zx8") == {"item 6"}
        changed = catalog(("Zeta ZX7",), start=6)
        columns = {"image": Features(np.ones((1, 6), "f4")), "text": Features(np.ones((1, 6)))}
        index.update(replace(changed, columns=columns))  # the vectors change, too
        assert matches(reader, "zx8") == set()
        assert matches(reader, "zx7") == {"item 6"}
        index.remove(["item 6"])
        assert matches(reader, "zx7") == set()
        assert index.verify().repaired == ()


def test_an_index_of_an_older_version_gets_its_keywords_when_opened(
    index: Index, space: CommonSpace
) -> None:
    path = index.path
    index.close()
    _rewrite(path, "DROP TABLE keywords", "DELETE FROM meta WHERE key = 'keywords'")
    with Index.open(path, space=space) as opened:
        assert opened.notes == ()
        assert matches(opened, "plo 166") == {"item 0"}
        assert opened.verify().repaired == ()


def test_changes_of_an_older_version_make_the_keywords_outdated(
    index: Index, space: CommonSpace
) -> None:
    """It raises the generation and leaves the keywords as they are."""
    with Index.open(index.path, space=space) as reader:
        _rewrite(index.path, "UPDATE meta SET value = value + 1 WHERE key = 'generation'")
        assert matches(reader, "plo 166") == set()
        index.remove(["item 1"])  # a change does not make them current
        assert matches(reader, "plo 166") == set()
        assert index.verify().repaired == ("the keyword index is missing; rebuilt from the store",)
        assert matches(reader, "plo 166") == {"item 0"}


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE keywords SET words = 'plo 999' WHERE rowid = 1", "differs"),
        ("DELETE FROM keywords WHERE rowid = 2", "differs"),
        ("INSERT INTO keywords (rowid, words) VALUES (900, 'x')", "do not exist"),
        ("UPDATE keywords_content SET c0 = 'x' WHERE id = 3", "differs"),
        ("UPDATE keywords_docsize SET sz = x'05' WHERE id = 3", "damaged"),
        ("UPDATE keywords_data SET block = zeroblob(length(block)) WHERE id > 10", "damaged"),
    ],
)
def test_verify_finds_and_rebuilds_damaged_keywords(
    index: Index, space: CommonSpace, statement: str, problem: str
) -> None:
    path = index.path
    index.close()
    _rewrite(path, statement)
    with Index.open(path, space=space) as opened:
        (repaired,) = opened.verify().repaired
        assert problem in repaired
        assert matches(opened, "plo 166") == {"item 0"}
        assert opened.verify().repaired == ()


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE keywords_idx",
        "DELETE FROM keywords_data WHERE id = 10",
        "UPDATE keywords_data SET block = x'ffffffffffffffff' WHERE id = 10",
    ],
)
def test_a_damaged_table_is_an_error_that_names_the_repair(
    index: Index, space: CommonSpace, statement: str
) -> None:
    path = index.path
    index.close()
    _rewrite(path, statement)
    with Index.open(path, space=space) as opened:
        with pytest.raises(StoreError, match="keyword index is damaged") as error:
            matches(opened, "plo 166")
        assert "verify" in str(error.value)
        assert opened.search(vector=np.ones(6), k=1)[0].id
        (repaired,) = opened.verify().repaired
        assert "damaged" in repaired
        assert matches(opened, "plo 166") == {"item 0"}


def test_texts_of_the_items_are_searched(tmp_path: Path) -> None:
    """Texts are stored beside their features where the index was made from raw items."""
    store = Store.create(tmp_path / "store.sqlite", fingerprint="x", dimension=2)
    sources = to_sources(Texts([("a cat", "Some Dog")]), PhotoFolders(tmp_path))
    vector = np.ones(2, "<f4").tobytes()
    item = NewItem("pet", "train", (), {"note": "free"}, {"text": (sources[0], vector)})
    with store.transaction() as connection:
        insert_items(connection, 1, [item])
    with store.reading():
        assert [match_keywords(store, text).items for text in ("dog cat free", "bird")] == [[1], []]
    store.close()


def _rewrite(path: Path, *statements: str) -> None:
    """Change the store as another program would, with a valid checksum."""
    connection = sqlite3.connect(path / "store.sqlite")
    for statement in statements:
        connection.execute(statement)
    connection.execute(
        "UPDATE meta SET value = ? WHERE key = 'checksum'", (table_checksum(connection),)
    )
    connection.commit()
    connection.close()
    (path / "store.pages").unlink(missing_ok=True)  # an older version had none
