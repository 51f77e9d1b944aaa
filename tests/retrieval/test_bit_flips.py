"""A flipped bit anywhere in an index is refused, or reported by verify, and never served."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import commonspace as cs
from commonspace import CommonSpace, Dataset
from commonspace.errors import CommonspaceError, StoreError
from commonspace.retrieval import Index, vector_index

Make = Callable[..., Dataset]

FLIPS = 100
QUERIES = np.random.default_rng(5).normal(size=(3, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def intact(
    tmp_path_factory: pytest.TempPathFactory, space: CommonSpace, make: Make
) -> tuple[Path, Any]:
    """Return an index with main segments, newer and removed entries, and its content."""
    path = tmp_path_factory.mktemp("intact") / "shop"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vector_index, "MIN_CHANGES", 30)
        with Index.create(path, space, make(range(60))) as index:
            index.add(make(range(60, 75)))
            index.remove(["article 3", "article 61"])
    return path, content(path)


def content(path: Path) -> Any:  # noqa: ANN401
    """Return everything that an index returns."""
    with Index.open(path) as index:
        where = "price < 300 and brand = 'Acme'"
        results = [
            [*index.search(vector=query, k=100, modality=modality, where=condition)]
            for query in QUERIES
            for modality, condition in ((None, None), ("text", None), (None, where))
        ]
        results.append([*index.search(id="article 5", k=100)])
        items = [index.item(f"article {number}") for number in range(75)]
        vectors = [
            {name: vector.tolist() for name, vector in index.vectors(f"article {number}").items()}
            for number in range(75)
        ]
        return results, items, vectors, index.info()["fields"]


def flip(path: Path, draw: np.random.Generator) -> str:
    """Flip a random bit of a random byte of the folder; return where."""
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.stat().st_size)
    sizes = np.array([file.stat().st_size for file in files])
    file = files[draw.choice(len(files), p=sizes / sizes.sum())]
    data = bytearray(file.read_bytes())
    at, bit = int(draw.integers(len(data))), int(draw.integers(8))
    data[at] ^= 1 << bit
    file.write_bytes(data)
    return f"bit {bit} of byte {at} of {file.relative_to(path)}"


def test_flipped_bits_are_refused_or_reported_and_never_served(
    intact: tuple[Path, Any], tmp_path: Path
) -> None:
    path, expected = intact
    draw = np.random.default_rng(0)
    outcomes = {"refused": 0, "reported": 0}
    for _ in range(FLIPS):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(path, copy)
        where = flip(copy, draw)
        try:
            with Index.open(copy) as index:
                noted = index.notes
            served = content(copy)
            assert served == expected, f"{where} was served"
        except CommonspaceError:
            outcomes["refused"] += 1
            continue
        try:
            with Index.open(copy) as index:
                report = index.verify()
        except CommonspaceError:
            outcomes["refused"] += 1
            continue
        assert report.problems or report.repaired or noted, where
        outcomes["reported"] += 1
        if not report.problems:  # it was repaired
            with Index.open(copy) as index:
                assert index.notes == ()
                report = index.verify()
            assert (report.problems, report.repaired) == ((), ()), where
            assert content(copy) == expected
    assert min(outcomes.values()) > 0, outcomes


def test_every_page_is_checked_even_where_it_has_no_content(
    intact: tuple[Path, Any], tmp_path: Path
) -> None:
    path, expected = intact
    store = (path / "store.sqlite").read_bytes()
    size = int.from_bytes(store[16:18], "big")
    for page in range(len(store) // size):
        places = [place for place in range(page * size, (page + 1) * size) if not store[place]]
        if not places:
            continue
        copy = Path(shutil.copytree(path, tmp_path / f"copy {page}"))
        changed = bytearray(store)
        changed[places[len(places) // 2]] = 4
        (copy / "store.sqlite").write_bytes(changed)
        try:
            with Index.open(copy) as index:
                assert any("is damaged" in note for note in index.notes)
                report = index.verify()
                assert any(f": {page + 1}" in one for one in (*report.problems, *report.repaired))
                healed = not report.problems
            if healed:
                assert content(copy) == expected
        except CommonspaceError:
            pass


def test_queries_over_all_items_are_refused_where_a_row_is_damaged(
    intact: tuple[Path, Any], tmp_path: Path
) -> None:
    """A changed price would otherwise leave an item out, which nobody could see."""
    copy = Path(shutil.copytree(intact[0], tmp_path / "copy"))
    store = (copy / "store.sqlite").read_bytes()
    place = store.index(b'"Acme"', store.index(b"article 12"))
    changed = bytearray(store)
    changed[place + 1] ^= 1
    (copy / "store.sqlite").write_bytes(changed)
    with Index.open(copy) as index:
        assert "is damaged" in index.notes[0]
        for query in (
            lambda: index.search(vector=QUERIES[0], where="brand = 'Acme'"),
            lambda: index.search(vector=QUERIES[0], group_by="brand"),
            lambda: index.count(where="brand = 'Acme'"),
            index.facets,
            index.summary,
            index.scroll,
        ):
            with pytest.raises(StoreError, match="could be wrong"):
                query()
        assert index.verify().problems


def test_damage_in_the_log_of_a_killed_process_is_refused(
    intact: tuple[Path, Any], tmp_path: Path
) -> None:
    """SQLite reads the log up to the damage, and forgets acknowledged changes without a word."""
    with Index.open(Path(shutil.copytree(intact[0], tmp_path / "open"))) as index:
        for number in range(20, 26):
            index.remove([f"article {number}"])
        killed = Path(shutil.copytree(index.path, tmp_path / "killed"))
    (killed / "store.sqlite-shm").unlink()
    log = killed / "store.sqlite-wal"
    data = log.read_bytes()
    frame = 24 + 16384
    assert (len(data) - 32) % frame == 0
    starts = range(32, len(data), frame)
    commits = [place for place in starts if data[place + 4 : place + 8] != bytes(4)]
    last = commits[-2] + frame  # start of the last change
    draw = np.random.default_rng(3)
    for place in (5, 17, 25, *draw.integers(32, last, 20).tolist()):
        copy = Path(shutil.copytree(killed, tmp_path / f"copy {place}"))
        changed = bytearray(data)
        changed[place] ^= 16
        (copy / log.name).write_bytes(changed)
        with pytest.raises(StoreError, match="damaged"):
            Index.open(copy)
    for place in (last + 100, len(data) - 100):  # of the last change, perhaps never acknowledged
        copy = Path(shutil.copytree(killed, tmp_path / f"copy {place}"))
        changed = bytearray(data)
        changed[place] ^= 16
        (copy / log.name).write_bytes(changed)
        with Index.open(copy) as index:
            assert "is incomplete" in index.notes[0]
            assert len(index) == 68
    (killed / log.name).write_bytes(data)
    with Index.open(killed) as index:
        assert index.notes == ()
        assert index.verify().problems == ()
        assert len(index) == 67


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE items SET labels = '[\"hats\", \"socks\"]' WHERE id = 'article 5'",
        "UPDATE items SET id = 'article 900' WHERE id = 'article 5'",
        "UPDATE fields SET name = 'prize' WHERE name = 'price'",
        "UPDATE modalities SET name = 'photo' WHERE name = 'image'",
        "UPDATE meta SET value = 'ivf' WHERE key = 'kind'",
        "UPDATE spaces SET dimension = 5",
        "UPDATE segments SET last_entry = last_entry - 1",
        "UPDATE sources SET features = zeroblob(24) WHERE entry = 5",
        "UPDATE entries SET digest = zeroblob(32) WHERE entry = 5",
        "DELETE FROM removed",
    ],
)
def test_rows_changed_by_other_programs_are_refused_or_reported(
    intact: tuple[Path, Any], tmp_path: Path, statement: str
) -> None:
    path, expected = intact
    copy = Path(shutil.copytree(path, tmp_path / "copy"))
    connection = sqlite3.connect(copy / "store.sqlite")
    with connection:
        assert connection.execute(statement).rowcount != 0
    connection.close()
    try:
        assert content(copy) == expected
    except CommonspaceError:
        return
    with cs.Index.open(copy) as index:
        assert index.verify().problems
